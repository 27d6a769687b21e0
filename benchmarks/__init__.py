"""How fast lastcall is, beside the floor: the same work in the same run without lastcall."""
