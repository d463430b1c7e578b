//! Results of maintenance: printed as they come, and a found damage made into the exit code that says so.

use serde_json::Value;

use super::CliError;
use super::output::{grouped, say, say_json, size};

/// Prints a result object: one line a field, with sizes for people.
///
/// # Errors
/// Standard output is gone.
pub(super) fn print(result: &Value, json: bool) -> Result<(), CliError> {
    if json {
        return say_json(result);
    }
    for (key, value) in result.as_object().into_iter().flatten() {
        let name = key.strip_suffix("_bytes").or(key.strip_suffix("_ms")).unwrap_or(key).replace('_', " ");
        say(format_args!("{name:<20} {}", shown(key, value)))?;
    }
    Ok(())
}

fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if key == "bytes" || key.ends_with("_bytes") => {
            number.as_u64().map_or_else(|| number.to_string(), size)
        }
        Value::Number(number) if key.ends_with("_ms") => format!("{number} ms"),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), grouped),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "-".to_owned(),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        Value::Array(list) => {
            let lines: Vec<String> =
                list.iter().map(|entry| entry.as_str().map_or_else(|| entry.to_string(), str::to_owned)).collect();
            lines.join(&format!("\n{:<20} ", ""))
        }
        Value::Object(_) => value.to_string(),
    }
}

/// Fails when a result names damaged or missing blobs.
///
/// # Errors
/// [`CliError::Damage`].
pub(super) fn refuse_damage(result: &Value) -> Result<(), CliError> {
    let count = |key: &str| match result.get(key) {
        Some(Value::Array(list)) => list.len() as u64,
        Some(Value::Number(number)) => number.as_u64().unwrap_or(0),
        _ => 0,
    };
    match (count("damaged"), count("missing")) {
        (0, 0) => Ok(()),
        (damaged, missing) => Err(CliError::Damage(format!("{damaged} blobs are damaged and {missing} are missing"))),
    }
}
