//! Tests of calendars: grammar, ticks, windows.
