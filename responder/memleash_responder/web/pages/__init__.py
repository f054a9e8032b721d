"""What a person sees in a browser: views, their templates, and the buttons."""
