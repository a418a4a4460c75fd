//! The plan as values in, values out.
