//! Empty: Rhai depends on `smartstring` (MPL-2.0) whatever it is told, and with its feature `compact_str` takes nothing from it.
