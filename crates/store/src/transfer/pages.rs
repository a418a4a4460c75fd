//! Goes through all records of an engine, page by page.

use tenantry_domain::Result;

/// Calls `visit` for every record, page by page.
pub(crate) async fn each<T, K: Copy, F: Future<Output = Result<Vec<T>>>>(
    list: impl Fn(Option<K>) -> F,
    id: impl Fn(&T) -> K,
    mut visit: impl AsyncFnMut(T) -> Result<()>,
) -> Result<()> {
    let mut after = None;
    loop {
        let page = list(after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(id(last));
        for record in page {
            visit(record).await?;
        }
    }
}
