"""What a session runs on (`agent`) and where it is (`place`). Hints for people, never proof."""
