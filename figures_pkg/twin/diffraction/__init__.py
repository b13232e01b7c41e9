"""From atoms to diffracted intensities: multislice, the library of plane waves, and simulated tables and patterns."""
