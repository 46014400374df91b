"""What people look at: comparisons, pictures, tokens as text and as a page. Nothing here computes a reward."""
