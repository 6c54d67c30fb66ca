//! What a terminal does to what is typed and written: lines, echo, the keys that end and interrupt.

use std::sync::atomic::{AtomicU32, Ordering};

/// How long a line may be; what is typed beyond is dropped, as Linux does.
const LINE: usize = 4095;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const ERASE: u8 = 0x7f;

/// Rows and columns.
#[derive(Debug, Default)]
pub(crate) struct Size {
    rows: AtomicU32,
    columns: AtomicU32,
}

impl Size {
    pub(crate) fn set(&self, rows: u32, columns: u32) {
        self.rows.store(rows, Ordering::Relaxed);
        self.columns.store(columns, Ordering::Relaxed);
    }

    /// As `stty size` prints it.
    pub(crate) fn text(&self) -> String {
        let (rows, columns) = (&self.rows, &self.columns);
        let of = |number: &AtomicU32| number.load(Ordering::Relaxed);
        format!("{} {}", of(rows), of(columns))
    }
}

/// Lines as they are typed.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    pub(super) interrupted: bool,
}

/// What becomes of typed bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// Shown to the typist.
    pub(super) echo: Vec<u8>,
    /// Given to the program.
    pub(super) ready: Vec<u8>,
    /// Whether the input is at its end.
    pub(super) end: bool,
}

impl Lines {
    pub(super) fn typed(&mut self, bytes: &[u8]) -> Typed {
        let mut typed = Typed::default();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    self.line.push(b'\n');
                    typed.echo.push(b'\n');
                    typed.ready.append(&mut self.line);
                }
                &INTERRUPT => {
                    typed.echo.extend_from_slice(b"^C");
                    self.line.clear();
                    self.interrupted = true;
                    typed.end = true;
                    break;
                }
                &END if self.line.is_empty() => {
                    typed.end = true;
                    break;
                }
                &END => typed.ready.append(&mut self.line),
                &ERASE => {
                    if self.line.pop().is_some() {
                        typed.echo.extend_from_slice(b"\x08 \x08");
                    }
                }
                _ if self.line.len() >= LINE => {}
                byte => {
                    self.line.push(*byte);
                    typed.echo.push(*byte);
                }
            }
        }
        typed
    }
}

/// Each line feed with the carriage return that a terminal puts before it.
pub(super) fn with_carriage_returns(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    for byte in bytes {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_given_whole_and_echoed_as_it_is_typed() {
        let mut lines = Lines::default();
        let first = lines.typed(b"ax\x7f");
        assert_eq!(
            (first.echo.as_slice(), first.ready.len()),
            (&b"ax\x08 \x08"[..], 0)
        );
        let rest = lines.typed(b"b\r");
        assert_eq!(
            (rest.echo.as_slice(), rest.ready.as_slice()),
            (&b"b\n"[..], &b"ab\n"[..])
        );
        assert!(lines.typed(b"\x04").end);
        assert!(!Lines::default().typed(b"a\x04").end);
    }

    #[test]
    fn an_interrupt_ends_the_input() {
        let mut lines = Lines::default();
        assert!(lines.typed(b"abc\x03def").end && lines.interrupted);
    }
}
