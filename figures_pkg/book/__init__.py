"""From notebooks as text to the rendered book: what a chapter needs, running it, rendering and checking the pages."""
