//! A script split into simple commands, as sh(1) would split it.

use super::{Join, Redirect, Step};

/// Splits a script into simple commands.
pub(super) fn parse(script: &str, env: &[String]) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut to: Option<Redirect> = None;
    let mut redirecting: Option<bool> = None;
    let mut join = Join::Always;
    let mut letters = script.chars().peekable();
    loop {
        let letter = letters.next();
        let ends_word = matches!(
            letter,
            None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | '>')
        );
        if ends_word && let Some(done) = word.take() {
            match redirecting.take() {
                Some(append) => to = Some(Redirect { file: done, append }),
                None => words.push(done),
            }
        }
        let next = match letter {
            Some(' ' | '\t') => continue,
            None | Some(';' | '\n') => Join::Always,
            Some('&') if letters.next_if_eq(&'&').is_some() => Join::And,
            Some('|') if letters.next_if_eq(&'|').is_some() => Join::Or,
            Some('>') => {
                if redirecting.is_some() || to.is_some() {
                    return Err("syntax error: unexpected \">\"".to_owned());
                }
                redirecting = Some(letters.next_if_eq(&'>').is_some());
                continue;
            }
            Some(letter) => {
                quoted(letter, &mut letters, word.get_or_insert_default(), env)?;
                continue;
            }
        };
        if redirecting.is_some() || (words.is_empty() && to.is_some()) {
            return Err("syntax error: a redirection needs a command and a file".to_owned());
        }
        if words.is_empty() && (next != Join::Always || join != Join::Always) {
            return Err("syntax error: a command is missing".to_owned());
        }
        if !words.is_empty() {
            steps.push(Step {
                join,
                words: std::mem::take(&mut words),
                to: to.take(),
            });
        }
        join = next;
        if letter.is_none() {
            return Ok(steps);
        }
    }
}

/// Adds one letter, or what a quote or variable that it begins stands for, to `word`.
fn quoted(
    letter: char,
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
    env: &[String],
) -> Result<(), String> {
    match letter {
        '\'' => loop {
            match letters.next() {
                Some('\'') => return Ok(()),
                Some(letter) => word.push(letter),
                None => return Err("syntax error: unterminated quoted string".to_owned()),
            }
        },
        '"' => loop {
            match letters.next() {
                Some('"') => return Ok(()),
                Some('\\') => match letters.next() {
                    Some(letter @ ('"' | '\\' | '$' | '`')) => word.push(letter),
                    Some(letter) => word.extend(['\\', letter]),
                    None => return Err("syntax error: unterminated quoted string".to_owned()),
                },
                Some('$') => variable(letters, word, env)?,
                Some('`') => return Err("command substitution is not built in".to_owned()),
                Some(letter) => word.push(letter),
                None => return Err("syntax error: unterminated quoted string".to_owned()),
            }
        },
        '\\' => {
            if let Some(letter) = letters.next() {
                word.push(letter);
            }
            Ok(())
        }
        '$' => variable(letters, word, env),
        '&' | '|' | '<' | '(' | ')' | '`' | '*' | '?' | '#' => {
            Err(format!("`{letter}` is not built in"))
        }
        letter => {
            word.push(letter);
            Ok(())
        }
    }
}

fn variable(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
    env: &[String],
) -> Result<(), String> {
    let braced = letters.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|l| l.is_ascii_alphanumeric() || *l == '_') {
        name.push(letter);
    }
    if braced && letters.next_if_eq(&'}').is_none() {
        return Err("bad substitution".to_owned());
    }
    if name.is_empty() {
        return match letters.peek() {
            Some('(' | '{') => Err("command substitution is not built in".to_owned()),
            _ => {
                word.push('$');
                Ok(())
            }
        };
    }
    let value = env.iter().find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then_some(value)
    });
    word.push_str(value.unwrap_or_default());
    Ok(())
}
