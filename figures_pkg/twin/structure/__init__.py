"""The crystal: its atoms in both states of polarization, read from and written to CIF."""
