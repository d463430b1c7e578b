//! `[gate]`: what releases have to pass before they are published.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Finding;
use super::file::{seconds, table};
use super::validate::{bytes, count, length};
use super::values::{ByteSize, Length};

table! {
    /// What releases have to pass before they are published.
    GateTable {
        /// The program and its arguments that every release has to pass; it gets the release as JSON on its standard
        /// input, with the paths of copies of its artifacts, and turns it down by any exit code but 0. Empty: nothing
        /// is run.
        command: Vec<String> = Vec::new(),
        /// The program and its arguments that verify the Authenticode signature of each artifact that has one; it gets
        /// the artifact as JSON on its standard input. Empty: signatures are only reported.
        authenticode_command: Vec<String> = Vec::new(),
        /// A command that runs for longer is killed, and the release refused.
        timeout: Length = seconds(5 * 60),
        /// How much memory (address space) each process of a command may have.
        memory_max: ByteSize = ByteSize(1 << 30),
        /// How many files each process of a command may have open.
        open_files_max: u32 = 256,
        /// How much of a command's output is kept: the end of it.
        output_max: ByteSize = ByteSize(64 << 10),
        /// How many archives deep an artifact is looked into.
        depth_max: u32 = 4,
        /// How many members all archives of an artifact may have together.
        members_max: u32 = 100_000,
        /// How many bytes an artifact may unpack to.
        unpacked_max_bytes: ByteSize = ByteSize(4 << 30),
        /// How many bytes an artifact may unpack to for each of its own.
        ratio_max: u32 = 200,
        /// The largest member of an archive that is held in memory to look into it; up to twice as much is held.
        member_max_bytes: ByteSize = ByteSize(64 << 20),
        /// What becomes of an intelligence release with archives of a kind that is not opened (bzip2, 7z, RAR, encrypted
        /// members and the like): `refuse` it, or `allow` it with a note.
        opaque_archives: OpaqueArchives = OpaqueArchives::Refuse,
    }
}

/// What becomes of an intelligence release with archives of a kind that is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpaqueArchives {
    /// It is not published.
    Refuse,
    /// It is published with a note.
    Allow,
}

/// What releases have to pass before they are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSettings {
    /// The program and its arguments that every release has to pass; empty: none.
    pub command: Vec<String>,
    /// The program and its arguments that verify Authenticode signatures; empty: none.
    pub authenticode_command: Vec<String>,
    /// How long a command may run; not zero.
    pub timeout: Duration,
    /// How much address space each process of a command may have.
    pub memory_max_bytes: u64,
    /// How many files each process of a command may have open.
    pub open_files_max: usize,
    /// How much of a command's output is kept.
    pub output_max_bytes: usize,
    /// Archives in archives.
    pub depth_max: u32,
    /// Members of an artifact's archives.
    pub members_max: usize,
    /// Bytes that an artifact unpacks to.
    pub unpacked_max_bytes: u64,
    /// Bytes that an artifact unpacks to for each of its own.
    pub ratio_max: u64,
    /// The largest member that is held in memory.
    pub member_max_bytes: u64,
    /// What becomes of an intelligence release with archives of a kind that is not opened.
    pub opaque_archives: OpaqueArchives,
}

/// The least memory that a command can be expected to start with.
const MEMORY_LEAST: u64 = 16 << 20;
/// The most memory that looking into members may take, halved.
const MEMBER_LIMIT: u64 = 1 << 30;
/// Deeper nesting would only be looked into by recursion without need.
const DEPTH_LIMIT: u32 = 16;

pub(super) fn gate_settings(table: GateTable) -> Result<GateSettings, Finding> {
    let finding = |key: &'static str, message: String| Finding { key: key.into(), message: format!("{key} {message}") };
    for (key, command) in [("gate.command", &table.command), ("gate.authenticode_command", &table.authenticode_command)]
    {
        if command.first().is_some_and(String::is_empty) {
            let message = "begins with an empty text: name a program, or leave the list empty";
            return Err(finding(key, message.to_owned()));
        }
    }
    let memory_max_bytes = bytes("gate.memory_max", table.memory_max)?;
    if memory_max_bytes < MEMORY_LEAST {
        let message = format!("is {}: it must be at least {}", table.memory_max, ByteSize(MEMORY_LEAST));
        return Err(finding("gate.memory_max", message));
    }
    if table.depth_max > DEPTH_LIMIT {
        return Err(finding("gate.depth_max", format!("is {}: at most {DEPTH_LIMIT} are allowed", table.depth_max)));
    }
    let member_max_bytes = bytes("gate.member_max_bytes", table.member_max_bytes)?;
    if member_max_bytes > MEMBER_LIMIT {
        let message = format!("is {}: at most {} are allowed", table.member_max_bytes, ByteSize(MEMBER_LIMIT));
        return Err(finding("gate.member_max_bytes", message));
    }
    count("gate.depth_max", table.depth_max)?;
    Ok(GateSettings {
        command: table.command,
        authenticode_command: table.authenticode_command,
        timeout: length("gate.timeout", table.timeout)?,
        memory_max_bytes,
        open_files_max: count("gate.open_files_max", table.open_files_max)?,
        output_max_bytes: usize::try_from(bytes("gate.output_max", table.output_max)?).unwrap_or(usize::MAX),
        depth_max: table.depth_max,
        members_max: count("gate.members_max", table.members_max)?,
        unpacked_max_bytes: bytes("gate.unpacked_max_bytes", table.unpacked_max_bytes)?,
        ratio_max: count("gate.ratio_max", table.ratio_max)? as u64,
        member_max_bytes,
        opaque_archives: table.opaque_archives,
    })
}
