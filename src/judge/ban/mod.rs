//! Ban rules: by what an answer shows that a site refuses the proxy, besides its status.
//!
//! The rules are compiled once. Plain texts are looked for here; expressions in the dialect of another engine, and functions
//! of the caller, are asked of a [`Subject`], and only where the rules before them have not decided.

pub mod pattern;
pub mod sites;

use self::pattern::{FoldedText, Pattern};
use super::status::StatusSet;

/// Bytes of a body, or characters of one that is text already, that rules look at.
pub const BODY_LIMIT: usize = 64 * 1024;

/// An answer, as rules look at it.
pub trait Subject {
    /// An expression that its own engine evaluates.
    type Expression;
    /// What looking can fail with.
    type Error;

    /// What the rule that is a function says: a refusal, or welcome; `None` without an opinion.
    ///
    /// # Errors
    /// Looking has failed.
    fn custom(&mut self) -> Result<Option<bool>, Self::Error>;

    /// The value of a header, by its name in any case.
    ///
    /// # Errors
    /// Looking has failed.
    fn header(&mut self, name: &str) -> Result<Option<String>, Self::Error>;

    /// The beginning of the body as text, at most [`BODY_LIMIT`]; `None` where none has been read.
    ///
    /// # Errors
    /// Looking has failed.
    fn body(&mut self) -> Result<Option<String>, Self::Error>;

    /// Whether the expression matches anywhere in a text.
    ///
    /// # Errors
    /// Looking has failed.
    fn search(&mut self, expression: &Self::Expression, text: &str) -> Result<bool, Self::Error>;
}

/// Rules by which an answer is a refusal. Any that applies is enough. They do not change.
#[derive(Debug)]
pub struct BanRules<E> {
    statuses: StatusSet,
    has_custom: bool,
    headers: Vec<(Box<str>, Pattern<E>)>,
    redirect: Vec<Pattern<E>>,
    body: Vec<Pattern<E>>,
}

impl<E> BanRules<E> {
    /// Rules about the status alone.
    #[must_use]
    pub fn of_statuses(statuses: impl IntoIterator<Item = u16>) -> Self {
        Self {
            statuses: statuses.into_iter().collect(),
            has_custom: false,
            headers: Vec::new(),
            redirect: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The same with a rule that is a function. It is asked first, and its answer settles the question.
    #[must_use]
    pub fn with_custom(self, has_custom: bool) -> Self {
        Self { has_custom, ..self }
    }

    /// The same with patterns by name of the header.
    #[must_use]
    pub fn with_headers(self, headers: Vec<(Box<str>, Pattern<E>)>) -> Self {
        Self { headers, ..self }
    }

    /// The same with patterns for the `Location` of a redirect.
    #[must_use]
    pub fn with_redirect(self, redirect: Vec<Pattern<E>>) -> Self {
        Self { redirect, ..self }
    }

    /// The same with patterns for the body. Plain texts go first: they are cheap, and need no other engine.
    #[must_use]
    pub fn with_body(self, mut body: Vec<Pattern<E>>) -> Self {
        body.sort_by_key(Pattern::is_expression);
        Self { body, ..self }
    }

    /// The statuses that are a refusal.
    #[must_use]
    pub fn statuses(&self) -> &StatusSet {
        &self.statuses
    }

    /// The expressions among the rules.
    pub fn expressions(&self) -> impl Iterator<Item = &E> {
        let headers = self.headers.iter().map(|(_, pattern)| pattern);
        headers.chain(&self.redirect).chain(&self.body).filter_map(Pattern::expression)
    }

    /// Whether more than the status of an answer matters.
    #[must_use]
    pub fn looks_inside(&self) -> bool {
        self.has_custom || !(self.headers.is_empty() && self.redirect.is_empty() && self.body.is_empty())
    }

    /// What the rules that look inside say of an answer: a refusal, or welcome; `None` leaves it to the status.
    ///
    /// # Errors
    /// What the subject fails with.
    pub fn opinion<S>(&self, status: u16, subject: &mut S) -> Result<Option<bool>, S::Error>
    where
        S: Subject<Expression = E>,
    {
        if self.has_custom
            && let Some(found) = subject.custom()?
        {
            return Ok(Some(found));
        }
        for (name, pattern) in &self.headers {
            if let Some(value) = subject.header(name)?
                && is_found(std::slice::from_ref(pattern), &value, subject)?
            {
                return Ok(Some(true));
            }
        }
        if (300..400).contains(&status)
            && !self.redirect.is_empty()
            && let Some(location) = subject.header("location")?
            && is_found(&self.redirect, &location, subject)?
        {
            return Ok(Some(true));
        }
        if !self.body.is_empty()
            && let Some(text) = subject.body()?
            && is_found(&self.body, &text, subject)?
        {
            return Ok(Some(true));
        }
        Ok(None)
    }
}

fn is_found<S: Subject>(patterns: &[Pattern<S::Expression>], text: &str, subject: &mut S) -> Result<bool, S::Error> {
    let text = FoldedText::new(text);
    for pattern in patterns {
        let found = match pattern {
            Pattern::Text(literal) => literal.is_in(&text),
            Pattern::Expression(expression) => subject.search(expression, text.as_str())?,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::pattern::Literal;
    use super::*;

    /// An answer whose engine knows one expression: a text that must be met in that case.
    #[derive(Default)]
    struct Fake {
        custom: Option<bool>,
        headers: Vec<(&'static str, &'static str)>,
        body: Option<&'static str>,
        asked: Vec<String>,
    }

    impl Subject for Fake {
        type Expression = &'static str;
        type Error = std::convert::Infallible;

        fn custom(&mut self) -> Result<Option<bool>, Self::Error> {
            self.asked.push("custom".into());
            Ok(self.custom)
        }

        fn header(&mut self, name: &str) -> Result<Option<String>, Self::Error> {
            self.asked.push(name.into());
            let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            Ok(found.map(|(_, value)| (*value).to_owned()))
        }

        fn body(&mut self) -> Result<Option<String>, Self::Error> {
            self.asked.push("body".into());
            Ok(self.body.map(str::to_owned))
        }

        fn search(&mut self, expression: &&'static str, text: &str) -> Result<bool, Self::Error> {
            self.asked.push(format!("search {expression}"));
            Ok(text.contains(expression))
        }
    }

    fn rules() -> BanRules<&'static str> {
        let text = |text| Pattern::of_text(text).unwrap();
        BanRules::of_statuses([403])
            .with_custom(true)
            .with_headers(vec![("Server".into(), text("^ddos-guard"))])
            .with_redirect(vec![text("/blocked")])
            .with_body(vec![Pattern::Expression("Robot"), Pattern::Text(Literal::new("captcha"))])
    }

    fn opinion(status: u16, fake: &mut Fake) -> Option<bool> {
        rules().opinion(status, fake).unwrap()
    }

    #[test]
    fn each_rule_by_itself() {
        let with = |fake: Fake| Fake { body: Some("welcome"), ..fake };
        assert_eq!(opinion(200, &mut with(Fake::default())), None);
        let guarded = || with(Fake { headers: vec![("server", "DDoS-Guard/2")], ..Fake::default() });
        assert_eq!(opinion(200, &mut guarded()), Some(true));
        let moved = || with(Fake { headers: vec![("Location", "https://x.test/Blocked?a")], ..Fake::default() });
        assert_eq!(opinion(302, &mut moved()), Some(true));
        assert_eq!(opinion(201, &mut moved()), None, "no redirect");
        assert_eq!(opinion(200, &mut Fake { body: Some("a CAPTCHA"), ..Fake::default() }), Some(true));
        assert_eq!(opinion(200, &mut Fake { body: Some("a Robot?"), ..Fake::default() }), Some(true));
        assert_eq!(opinion(200, &mut Fake { body: Some("a robot?"), ..Fake::default() }), None);
        assert_eq!(opinion(403, &mut Fake::default()), None, "that is for the status");
    }

    #[test]
    fn the_function_settles_it() {
        let mut welcome = Fake { custom: Some(false), body: Some("captcha"), ..Fake::default() };
        assert_eq!(opinion(200, &mut welcome), Some(false));
        assert_eq!(welcome.asked, ["custom"]);
    }

    #[test]
    fn another_engine_is_asked_last() {
        let mut fake = Fake { body: Some("captcha for a Robot"), ..Fake::default() };
        assert_eq!(opinion(200, &mut fake), Some(true));
        assert_eq!(fake.asked, ["custom", "Server", "body"]);
        assert_eq!(rules().expressions().collect::<Vec<_>>(), [&"Robot"]);
    }

    #[test]
    fn the_status_alone() {
        let rules = BanRules::<&str>::of_statuses([403]);
        assert!(!rules.looks_inside());
        assert!(rules.statuses().contains(403));
        let mut fake = Fake::default();
        assert_eq!(rules.opinion(302, &mut fake), Ok(None));
        assert!(fake.asked.is_empty());
    }
}
