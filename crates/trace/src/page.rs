//! A page for a browser: one file, which asks nobody for anything (its policy forbids it).
//!
//! All that is said of the run stands as JSON inside of it ([`data`]), and `page.js` draws it: so the numbers
//! are this program's, and another program can read them out.

mod data;
mod numbers;

use crate::drawing::Drawing;
use crate::survey::Survey;
use crate::svg::escaped;

const SCRIPT: &str = include_str!("page/page.js");
const STYLE: &str = include_str!("page/page.css");
const BODY: &str = include_str!("page/body.html");

/// Writes the page; `journal` is what its journal is called in commands.
pub fn write(survey: &Survey, drawing: &Drawing, journal: &str) -> String {
    let title = escaped(&survey.title);
    // `<` could end the element, or begin a comment in it.
    let data = data::of(survey, drawing, journal).to_string().replace('<', "\\u003c");
    let body = BODY.trim_end();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}
