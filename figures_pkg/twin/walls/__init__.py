"""Walls: supercells, their scattering, stacks of domains along the beam, and the tables that the renderer adds."""
