"""What the microscope adds: discs, diffuse background, the detector and its noise."""
