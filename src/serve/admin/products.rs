//! Products.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::answers::{ProductAnswer, ProductsAnswer};
use super::extract::Sent;
use crate::control::add_product;
use crate::model::{Class, ProductName};
use crate::serve::problem::Problem;

/// A product to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProduct {
    #[schema(value_type = String, example = "defender-intelligence")]
    name: ProductName,
    #[schema(value_type = String, example = "intelligence")]
    class: Class,
}

/// Lists all products.
#[utoipa::path(get, path = "/v1/products", responses((status = 200, body = ProductsAnswer)))]
pub(super) async fn list(State(services): Services) -> Json<ProductsAnswer> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let products = snapshot.products().map(|product| ProductAnswer::new(product, now)).collect();
    Json(ProductsAnswer { products })
}

/// Adds a product; the same again changes nothing.
#[utoipa::path(post, path = "/v1/products", request_body = NewProduct, responses(
    (status = 201, body = ProductAnswer),
    (status = 200, description = "it was there", body = ProductAnswer),
    (status = 409, description = "it is there with the other class"),
))]
pub(super) async fn add(
    State(services): Services,
    person: Person,
    Sent(new): Sent<NewProduct>,
) -> Result<(StatusCode, Json<ProductAnswer>), Problem> {
    let added = add_product(&services.catalog, person.on_product(&new.name)?, &new.name, new.class).await?;
    let status = if added.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(ProductAnswer::new(&added.product, services.catalog.now()))))
}
