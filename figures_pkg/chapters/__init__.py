"""What one notebook alone needs: one file each, named as the notebook."""
