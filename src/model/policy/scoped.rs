//! A setting that may be given for everything, for a class or for one product.

use std::collections::BTreeMap;

use crate::model::{Class, ProductName};

/// Values by scope; the narrowest that is given counts: product, then class, then everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scoped<T> {
    pub(super) all: Option<T>,
    pub(super) class: [Option<T>; 2],
    pub(super) product: BTreeMap<ProductName, T>,
}

impl<T> Default for Scoped<T> {
    fn default() -> Self {
        Self { all: None, class: [None, None], product: BTreeMap::new() }
    }
}

impl<T> Scoped<T> {
    /// The value for this product of this class.
    pub fn get(&self, product: &ProductName, class: Class) -> Option<&T> {
        self.product.get(product).or_else(|| self.for_class(class))
    }

    /// The value for products of this class that have none of their own.
    pub fn for_class(&self, class: Class) -> Option<&T> {
        self.class[class as usize].as_ref().or(self.all.as_ref())
    }

    /// The values given for single products.
    pub fn products(&self) -> &BTreeMap<ProductName, T> {
        &self.product
    }
}
