//! Tables for a terminal and for a document.

/// A heading and rows of as many cells; the first columns are text, the others figures.
#[derive(Clone, Debug)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
    text_columns: usize,
}

impl Table {
    /// An empty table.
    pub fn new(heading: &[&str], text_columns: usize) -> Self {
        let heading = heading.iter().map(|&cell| cell.to_owned()).collect();
        Self { heading, rows: Vec::new(), text_columns }
    }

    /// Adds a row; cells that are missing are empty.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.heading.len(), String::new());
        self.rows.push(cells);
    }

    /// With columns of equal width.
    pub fn text(&self) -> String {
        let width = |column: usize| {
            let cells = std::iter::once(&self.heading).chain(&self.rows);
            cells.map(|cells| cells[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.heading.len()).map(width).collect();
        let mut text = String::new();
        for cells in std::iter::once(&self.heading).chain(&self.rows) {
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                let width = *width;
                if column < self.text_columns {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let line = padded.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = (0..self.heading.len()).map(|column| {
            if column < self.text_columns { "---".to_owned() } else { "---:".to_owned() }
        });
        let mut text = line(&self.heading);
        text.push_str(&line(&rule.collect::<Vec<_>>()));
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["what", "µs"], 1);
        table.row(vec!["a long name".to_owned(), "7.5".to_owned()]);
        table.row(vec!["b".to_owned()]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(table().text(), "what          µs\na long name  7.5\nb\n");
    }

    #[test]
    fn a_document_gets_markdown() {
        let expected = "| what | µs |\n| --- | ---: |\n| a long name | 7.5 |\n| b |  |\n";
        assert_eq!(table().markdown(), expected);
    }
}
