"""What varies across a scan: domains and walls, thickness, tilt, and what lies on the specimen."""
