"""From a recipe's task names to questions and prompts: suites, splits, drawing, cache, data sets."""
