"""The reports that --report writes: a page, Markdown, and JUnit."""
