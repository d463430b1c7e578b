//! Adding products.

use std::sync::Arc;

use super::ControlError;
use crate::catalog::Catalog;
use crate::model::{Actor, Class, Event, ProductName, ProductReleases};

/// A product, and whether it is new.
#[derive(Debug, Clone)]
pub struct AddedProduct {
    /// The product.
    pub product: Arc<ProductReleases>,
    /// Whether this call added it.
    pub is_new: bool,
}

/// Adds a product. The same again is no change; another class is refused. Returns after fsync.
pub async fn add_product(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    name: &ProductName,
    class: Class,
) -> Result<AddedProduct, ControlError> {
    let committed = catalog.commit(actor, |snapshot, _now| match snapshot.product(name) {
        None => Ok(vec![Event::ProductAdded { product: name.clone(), class }]),
        Some(known) if known.product().class == class => Ok(Vec::new()),
        Some(known) => Err(ControlError::OtherClass { product: name.clone(), class: known.product().class }),
    });
    let committed = committed.await?;
    let product = committed.snapshot.product(name).cloned();
    let product = product.ok_or_else(|| ControlError::UnknownProduct(name.clone()))?;
    Ok(AddedProduct { product, is_new: !committed.records.is_empty() })
}
