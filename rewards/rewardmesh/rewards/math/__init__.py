"""Mathematical answers: extracted, guarded, then decided exactly where possible and by math-verify where not."""
