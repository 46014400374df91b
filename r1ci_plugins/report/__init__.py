"""What people look at: progress bars, comparisons, pictures, tokens as text and as a page. It only reads records."""
