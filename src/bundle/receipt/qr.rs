//! A QR code as text: two rows of it in one line of a terminal.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code; readers look for them.
const QUIET: usize = 4;

/// The code in half blocks, dark on light: every module is painted, so that it reads the same on any background that
/// shows text in a light colour. `None`: there is too much for a code.
pub fn qr(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let (width, modules) = (code.width(), code.to_colors());
    let is_light = |row: usize, column: usize| {
        let inside = row.checked_sub(QUIET).zip(column.checked_sub(QUIET));
        let inside = inside.filter(|(row, column)| *row < width && *column < width);
        inside.is_none_or(|(row, column)| modules[row * width + column] == Color::Light)
    };
    let side = width + 2 * QUIET;
    let block = |row: usize, column: usize| match (is_light(row, column), row + 1 >= side || is_light(row + 1, column))
    {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    let line = |row: usize| (0..side).map(|column| block(row, column)).collect::<String>();
    Some((0..side).step_by(2).map(line).collect::<Vec<_>>().join("\n"))
}
