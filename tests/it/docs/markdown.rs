//! Markdown files, as far as the tests read them: fenced blocks, tables, links and headings.

use std::{collections::BTreeMap, fs, path::Path};

use crate::support::python;

/// A Markdown file.
pub struct Document {
    /// Its path in the repository.
    pub name: String,
    lines: Vec<String>,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// Its document and the line of its opening fence, for messages.
    pub at: String,
    /// The word after the opening fence.
    pub language: String,
    /// The comment in the line before it, such as `not run: needs a cluster`.
    pub mark: Option<String>,
    /// What is between the fences.
    pub lines: Vec<String>,
}

/// A row of a table, below its header.
pub struct Row {
    /// Its document and its line, for messages.
    pub at: String,
    /// Its cells, by the text of the header above them.
    pub cells: BTreeMap<String, String>,
}

/// A line that may be a heading, a part of a table or text: not in a block.
type Line<'d> = (usize, &'d str);

/// Every document.
pub fn documents() -> Vec<Document> {
    let mut names = vec!["README.md".to_owned(), "SECURITY.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["docs", "examples", "deploy"] {
        collect(&python::repository(folder), &mut names);
    }
    names.sort();
    names.into_iter().map(Document::read).collect()
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("it is in the repository");
            names.push(name.display().to_string());
        }
    }
}

/// The rows of every table whose first header is this.
pub fn rows(first_header: &str) -> Vec<Row> {
    documents().iter().flat_map(|document| document.rows(first_header)).collect()
}

/// A name as tables and links have it, without its backticks.
pub fn plain(cell: &str) -> &str {
    cell.trim_matches('`')
}

impl Document {
    fn read(name: String) -> Self {
        let text = fs::read_to_string(python::repository(&name)).expect("the document can be read");
        Self { name, lines: text.lines().map(str::to_owned).collect() }
    }

    fn at(&self, index: usize) -> String {
        format!("{}:{}", self.name, index + 1)
    }

    /// The fenced blocks.
    ///
    /// # Panics
    /// When a block is in another form, which the tests would not find.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for (index, line) in self.lines.iter().enumerate() {
            let at = self.at(index);
            if let Some(language) = line.trim_start().strip_prefix("```") {
                assert!(line.starts_with("```"), "{at}: begin the fence at the margin");
                if !is_open {
                    let mark = index.checked_sub(1).and_then(|before| comment(&self.lines[before]));
                    blocks.push(Block {
                        at,
                        language: language.to_owned(),
                        mark: mark.map(str::to_owned),
                        lines: Vec::new(),
                    });
                }
                is_open = !is_open;
            } else if let (true, Some(block)) = (is_open, blocks.last_mut()) {
                block.lines.push(line.clone());
            } else {
                let indented = line.starts_with("    ") || line.starts_with('\t');
                assert!(!indented && !line.trim_start().starts_with("~~~"), "{at}: write blocks with ```");
            }
        }
        assert!(!is_open, "{}: the last block is closed", self.name);
        blocks
    }

    /// The lines outside of blocks.
    fn text(&self) -> impl Iterator<Item = Line<'_>> {
        let mut is_open = false;
        self.lines.iter().enumerate().filter_map(move |(index, line)| {
            let is_fence = line.starts_with("```");
            is_open ^= is_fence;
            (!is_open && !is_fence).then_some((index, line.as_str()))
        })
    }

    fn rows(&self, first_header: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut headers: Option<Vec<String>> = None;
        for (index, line) in self.text() {
            let Some(cells) = cells(line) else {
                headers = None;
                continue;
            };
            match &headers {
                None => headers = Some(cells),
                Some(_) if cells[0].starts_with("--") => {}
                Some(headers) if headers[0] == first_header => {
                    assert_eq!(cells.len(), headers.len(), "{}: a cell for each header", self.at(index));
                    rows.push(Row {
                        at: self.at(index),
                        cells: headers.iter().cloned().zip(cells).collect(),
                    });
                }
                Some(_) => {}
            }
        }
        rows
    }

    /// The words, in blocks too, each with where it is. A word has letters, digits, `_` and, inside, `.`.
    pub fn words(&self) -> Vec<(String, String)> {
        let mut words = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            for word in line.split(|c| !is_part(c)) {
                words.push((self.at(index), word.trim_matches('.').to_owned()));
            }
        }
        words
    }

    /// The targets of links, each with where it is.
    pub fn links(&self) -> Vec<(String, &str)> {
        let mut links = Vec::new();
        for (index, line) in self.text() {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            links.extend(targets.map(|target| (self.at(index), target)));
        }
        links
    }

    /// The anchors of the headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.text().filter(|(_, line)| line.starts_with('#'));
        headings
            .map(|(_, line)| {
                let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
                let heading = line.trim_start_matches('#').trim().to_lowercase();
                heading.chars().filter(kept).collect::<String>().replace(' ', "-")
            })
            .collect()
    }
}

fn comment(line: &str) -> Option<&str> {
    Some(line.strip_prefix("<!--")?.strip_suffix("-->")?.trim())
}

/// The cells of a line of a table.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
}
