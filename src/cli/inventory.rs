//! Reading an inventory of devices: JSON lines, a JSON array, or CSV. The whole file is read and checked before anything
//! is sent, so that a mistake in it changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use crate::model::{AttributeName, Device, DeviceId, Tag};

use super::CliError;

/// Reads a file; what it is shows in its first character.
///
/// # Errors
/// A sentence with the file's line.
pub(super) fn read(path: &Path) -> Result<Vec<Device>, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| CliError::Input(format!("{}: the inventory cannot be read: {cause}", path.display())))?;
    parse(&text).map_err(|(line, message)| CliError::Input(format!("{}:{line}: {message}", path.display())))
}

type Finding = (u64, String);

/// Reads an inventory's text.
///
/// # Errors
/// The line, from 1, and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Device>, Finding> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let devices = match text.trim_start().chars().next() {
        Some('[') => array(text)?,
        Some('{') => lines(text)?,
        _ => csv(text)?,
    };
    let mut seen = BTreeSet::new();
    for (line, device) in &devices {
        if !seen.insert(&device.id) {
            return Err((*line, format!("device {} is in the file twice", device.id)));
        }
    }
    drop(seen);
    Ok(devices.into_iter().map(|(_, device)| device).collect())
}

fn array(text: &str) -> Result<Vec<(u64, Device)>, Finding> {
    let devices: Vec<Device> =
        serde_json::from_str(text).map_err(|error| (error.line() as u64, without_place(&error)))?;
    Ok(devices.into_iter().map(|device| (1, device)).collect())
}

fn lines(text: &str) -> Result<Vec<(u64, Device)>, Finding> {
    let numbered = (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    numbered
        .map(|(number, line)| match serde_json::from_str(line) {
            Ok(device) => Ok((number, device)),
            Err(error) => Err((number, without_place(&error))),
        })
        .collect()
}

/// The reader's sentence without its own "at line 1 column 2": the line is said already.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).replace('`', "\"")
}

/// What a column of a CSV file holds.
enum Column {
    Id,
    Platform,
    Tags,
    Attribute(AttributeName),
}

fn csv(text: &str) -> Result<Vec<(u64, Device)>, Finding> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns =
        reader.headers().map_err(|error| csv_finding(&error))?.iter().map(column).collect::<Result<Vec<_>, _>>();
    let columns = columns.map_err(|message| (1, message))?;
    if !columns.iter().any(|column| matches!(column, Column::Id)) {
        return Err((1, "the first line names no column \"id\"; it looks like id,platform,tags,os".to_owned()));
    }
    let mut devices = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| csv_finding(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        devices.push((line, device(&columns, &record).map_err(|message| (line, message))?));
    }
    Ok(devices)
}

fn csv_finding(error: &csv::Error) -> Finding {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            (line, format!("the line has {len} fields, the first one {expected_len}"))
        }
        _ => (line, error.to_string()),
    }
}

fn column(name: &str) -> Result<Column, String> {
    match name {
        "id" => Ok(Column::Id),
        "platform" => Ok(Column::Platform),
        "tags" => Ok(Column::Tags),
        name => name.parse().map(Column::Attribute).map_err(|error| error.to_string()),
    }
}

fn device(columns: &[Column], record: &csv::StringRecord) -> Result<Device, String> {
    let id: DeviceId = columns
        .iter()
        .zip(record)
        .find_map(|(column, field)| matches!(column, Column::Id).then_some(field))
        .unwrap_or_default()
        .parse()
        .map_err(|error| format!("{error}"))?;
    let mut device = Device { id, platform: None, tags: BTreeSet::new(), attributes: [].into() };
    for (column, field) in columns.iter().zip(record).filter(|(_, field)| !field.is_empty()) {
        match column {
            Column::Id => {}
            Column::Platform => device.platform = Some(field.parse().map_err(|error| format!("{error}"))?),
            Column::Tags => {
                let tags: Result<BTreeSet<Tag>, _> = field.split_whitespace().map(str::parse).collect();
                device.tags = tags.map_err(|error| error.to_string())?;
            }
            Column::Attribute(name) => {
                device.attributes.insert(name.clone(), field.to_owned());
            }
        }
    }
    Ok(device)
}
