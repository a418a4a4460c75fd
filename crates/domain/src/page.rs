//! Pages of lists: the requested size and where the next one begins.

use crate::limits::{PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS};

/// How many items a page may have at most, as the caller asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit(u32);

impl Default for PageLimit {
    fn default() -> Self {
        Self(PAGE_DEFAULT_ITEMS)
    }
}

impl PageLimit {
    /// The limit asked for; more than the maximum is refused, never silently cut.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<u32>() {
            Ok(items) if (1..=PAGE_MAX_ITEMS).contains(&items) => Ok(Self(items)),
            _ => Err(format!("Must be a whole number from 1 to {PAGE_MAX_ITEMS}.")),
        }
    }

    /// The number of items.
    #[must_use]
    pub const fn items(self) -> u32 {
        self.0
    }
}

/// A slice of a list.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Makes a page from what the store found when asked for one item more than `limit`.
    pub fn of(mut found: Vec<T>, limit: PageLimit, cursor: impl Fn(&T) -> C) -> Self {
        let most = limit.items() as usize;
        let more = found.len() > most;
        found.truncate(most);
        let next = if more { found.last().map(cursor) } else { None };
        Self { items: found, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_limit_over_maximum_is_rejected() {
        for text in ["0", "201", "-1", "ten", "1.5", "99999999999"] {
            assert!(PageLimit::parse(text).is_err(), "{text}");
        }
        assert_eq!(PageLimit::parse("200").unwrap().items(), 200);
    }

    #[test]
    fn page_that_is_last_has_no_cursor() {
        let limit = PageLimit::parse("2").unwrap();
        assert_eq!(Page::of(vec![1, 2, 3], limit, |i| *i).next, Some(2));
        assert_eq!(Page::of(vec![1, 2], limit, |i| *i).next, None);
    }
}
