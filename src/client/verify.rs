//! Asking a device listener for all that it takes to verify an offer.

use serde::de::DeserializeOwned;

use super::{Client, ClientError, Refusal};
use crate::model::{Platform, ProductName, Version};
use crate::signing::{Answers, KeysDocument, Offer, Signed};

/// A question to a device listener.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Which product.
    pub product: &'a ProductName,
    /// For which platform.
    pub platform: Option<&'a Platform>,
    /// Which version is there.
    pub current: Option<&'a Version>,
}

impl Question<'_> {
    fn query(&self, with_product: bool) -> String {
        let product = with_product.then(|| format!("product={}", self.product));
        let platform = self.platform.map(|platform| format!("platform={platform}"));
        let current = self.current.map(|current| format!("current={current}"));
        let words: Vec<String> = [product, platform, current].into_iter().flatten().collect();
        if words.is_empty() { String::new() } else { format!("?{}", words.join("&")) }
    }
}

impl Client {
    /// What is offered; `None` where there is nothing to fetch.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn offer(&self, question: &Question<'_>) -> Result<Option<Offer>, ClientError> {
        let path = format!("/v1/offers/{}{}", question.product, question.query(false));
        match self.get(&path).await? {
            serde_json::Value::Null => Ok(None),
            offer => self.read_as(offer).map(Some),
        }
    }

    /// What is offered, with the statement, the manifest and the keys that prove it. What is not there is empty: to be
    /// refused by whoever verifies it. The keys come last, so that they include whichever key has signed.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn answers(&self, question: &Question<'_>) -> Result<Answers, ClientError> {
        let offer = self.offer(question).await?;
        let nothing = || Signed { text: String::new(), signature: String::new() };
        let path = format!("/v1/freshness{}", question.query(true));
        let freshness = self.get_if_there(&path).await?.unwrap_or_else(nothing);
        let offer = match offer {
            None => None,
            Some(offer) => {
                let manifest = self.get_if_there(&format!("/v1/manifests/{}", offer.release)).await?;
                Some((offer, manifest.unwrap_or_else(nothing)))
            }
        };
        let keys: Option<KeysDocument> = self.get_if_there("/v1/keys").await?;
        Ok(Answers { keys: keys.unwrap_or_default(), freshness, offer })
    }

    async fn get_if_there<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ClientError> {
        match self.get(path).await {
            Ok(answer) => self.read_as(answer).map(Some),
            Err(ClientError::Refused(problem)) if problem.refusal() == Refusal::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_as<T: DeserializeOwned>(&self, answer: serde_json::Value) -> Result<T, ClientError> {
        serde_json::from_value(answer)
            .map_err(|cause| ClientError::NotUnderstood { server: self.endpoint.to_string(), what: cause.to_string() })
    }
}
