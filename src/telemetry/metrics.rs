//! The metric registry, filled at start and then only read.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

/// The media type of [`Metrics::render`]'s text.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The part of the registry in which a room registers its metrics: `thing_unit` becomes `ringfence_<room>_thing_unit`,
/// and a counter gets `_total` behind it.
pub fn room<'a>(registry: &'a mut Registry, name: &str) -> &'a mut Registry {
    registry.sub_registry_with_prefix("ringfence").sub_registry_with_prefix(name)
}

/// A registry to which nothing more is added. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// Takes the registry once every room has registered its metrics.
    pub fn new(registry: Registry) -> Self {
        Self { registry: Arc::new(registry) }
    }

    /// All metrics as OpenMetrics text, ended by `# EOF`.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn names_carry_the_room_and_the_total() {
        let mut registry = Registry::default();
        let accepted: Counter = Counter::default();
        room(&mut registry, "serve").register("connections_accepted", "Connections accepted", accepted.clone());
        accepted.inc();
        let text = Metrics::new(registry).render().unwrap();
        assert!(text.contains("ringfence_serve_connections_accepted_total 1"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
