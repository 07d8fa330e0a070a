//! The parameter list of a Digest header: `name=value` pairs with commas between (RFC 7616 section 3, AMB-51, IOP-10).

use std::borrow::Cow;

use super::error::AuthorizationError;

/// Iterates over the parameters. Any value may be quoted or not; empty list elements and white space around commas and
/// equals signs are skipped. The first error is the last item.
pub(super) struct Params<'a> {
    rest: &'a str,
}

impl<'a> Params<'a> {
    pub(super) fn new(list: &'a str) -> Params<'a> {
        Params { rest: list }
    }

    fn parameter(&mut self) -> Result<(&'a str, Cow<'a, str>), AuthorizationError> {
        let name = self.take_while(is_token);
        self.skip_space();
        if name.is_empty() || !self.take('=') {
            return Err(AuthorizationError::Syntax);
        }
        self.skip_space();
        let value = if self.take('"') {
            self.quoted()?
        } else {
            let text = self.take_while(|c| !matches!(c, ',' | ' ' | '\t' | '"'));
            if text.is_empty() {
                return Err(AuthorizationError::Syntax);
            }
            Cow::Borrowed(text)
        };
        self.skip_space();
        if !self.rest.is_empty() && !self.rest.starts_with(',') {
            return Err(AuthorizationError::Syntax);
        }
        Ok((name, value))
    }

    /// The rest of a quoted string whose opening quote is taken, its closing quote included; `\x` stands for `x`.
    fn quoted(&mut self) -> Result<Cow<'a, str>, AuthorizationError> {
        let mut value = Cow::Borrowed("");
        loop {
            let plain = self.take_while(|c| c != '"' && c != '\\');
            if value.is_empty() {
                value = Cow::Borrowed(plain);
            } else {
                value.to_mut().push_str(plain);
            }
            if self.take('"') {
                return Ok(value);
            }
            self.take('\\');
            let escaped = self.rest.chars().next().ok_or(AuthorizationError::UnterminatedQuote)?;
            self.rest = &self.rest[escaped.len_utf8()..];
            value.to_mut().push(escaped);
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<(&'a str, Cow<'a, str>), AuthorizationError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        if self.rest.is_empty() {
            return None;
        }
        let parameter = self.parameter();
        if parameter.is_err() {
            self.rest = "";
        }
        Some(parameter)
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// `text` as a quoted-string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn all(list: &str) -> Result<Vec<(&str, String)>, AuthorizationError> {
        Params::new(list).map(|p| p.map(|(n, v)| (n, v.into_owned()))).collect()
    }

    /// RLY-19
    #[rstest]
    #[case("a=b,c=\"d\"")]
    #[case("a=b, c=\"d\"")]
    #[case(" a = b\t,\t \tc = \"d\" ,")]
    #[case(",,a=\"b\",,c=d,,")]
    #[case(r#"a="\b",c="\d""#)]
    fn separators_and_quotes_do_not_matter(#[case] list: &str) {
        assert_eq!(all(list).unwrap(), [("a", "b".into()), ("c", "d".into())]);
    }

    #[rstest]
    #[case(r#"x="""#, "")]
    #[case(r#"x="a, b=c""#, "a, b=c")]
    #[case(r#"x="\"\\""#, r#""\"#)]
    #[case(r#"x="\é\\é""#, r"é\é")]
    #[case("x=YWJj==", "YWJj==")]
    fn value_is_read_without_quotes(#[case] list: &str, #[case] value: &str) {
        assert_eq!(all(list).unwrap(), [("x", value.into())]);
    }

    #[test]
    fn value_without_escapes_is_borrowed() {
        let value = Params::new(r#"a="b c""#).next().unwrap().unwrap().1;
        assert!(matches!(value, Cow::Borrowed("b c")));
    }

    #[rstest]
    #[case("a", AuthorizationError::Syntax)]
    #[case("a=", AuthorizationError::Syntax)]
    #[case("=b", AuthorizationError::Syntax)]
    #[case("a=b c=d", AuthorizationError::Syntax)]
    #[case("a=\"b\"c", AuthorizationError::Syntax)]
    #[case("a=b\"c\"", AuthorizationError::Syntax)]
    #[case("é=b", AuthorizationError::Syntax)]
    #[case("a=\"", AuthorizationError::UnterminatedQuote)]
    #[case("a=\"b", AuthorizationError::UnterminatedQuote)]
    #[case("a=\"b\\", AuthorizationError::UnterminatedQuote)]
    #[case("a=\"b\\\"", AuthorizationError::UnterminatedQuote)]
    fn broken_lists_are_refused(#[case] list: &str, #[case] error: AuthorizationError) {
        assert_eq!(all(list), Err(error));
        assert!(Params::new(list).count() <= 1);
    }

    #[test]
    fn quoted_can_be_read_again() {
        let list = format!("a={}", quoted(r#"x"\y"#));
        assert_eq!(all(&list).unwrap(), [("a", r#"x"\y"#.into())]);
    }
}
