//! Curl commands to paste into a POSIX shell. They contain the signature, so they are secrets.

use std::fmt::Write as _;

use crate::pb::{PresignPostResponse, PresignedRequest};

/// The command that requests a URL. `FILE` is a placeholder for the file to upload.
pub(super) fn url_command(presigned: &PresignedRequest) -> String {
    // Without `--path-as-is` curl resolves `.` and `..` in the key, and the signature does not match.
    let mut command = "curl --fail --path-as-is".to_owned();
    command.push_str(globoff_option(&presigned.url));
    match presigned.method.as_str() {
        "GET" => {}
        "HEAD" => command.push_str(" --head"),
        "PUT" if ends_in_slash(&presigned.url) => {
            // `--upload-file` would append the file's name to this URL. `--data-binary` would add a content type.
            command.push_str(" --request PUT --data-binary @FILE");
            if !presigned.headers.contains_key("content-type") {
                command.push_str(" --header content-type:");
            }
        }
        "PUT" => command.push_str(" --upload-file FILE"),
        other => append(&mut command, "--request", other),
    }
    for (name, value) in &presigned.headers {
        // `NAME;` sends a header with an empty value; curl leaves out `NAME:`.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        append(&mut command, "--header", &header);
    }
    command + " " + &quote(&presigned.url)
}

/// The command that sends a form with the file `FILE`. `prefixes` are further fields, whose values the user may extend as
/// the policy permits.
pub(super) fn form_command<'f>(
    form: &'f PresignPostResponse,
    prefixes: impl IntoIterator<Item = (&'f String, &'f String)>,
) -> String {
    let mut command = "curl --fail".to_owned();
    command.push_str(globoff_option(&form.url));
    for (name, value) in form.fields.iter().chain(prefixes) {
        // `--form` would read a value that begins with `@` or `<` from a file.
        append(&mut command, "--form-string", &format!("{name}={value}"));
    }
    command + " --form file=@FILE " + &quote(&form.url)
}

/// curl reads brackets as a range of URLs. Presigned URLs have them around an IPv6 address only: keys are encoded.
fn globoff_option(url: &str) -> &'static str {
    if url.contains(['[', ']', '{', '}']) { " --globoff" } else { "" }
}

fn ends_in_slash(url: &str) -> bool {
    url.split_once('?').map_or(url, |(before, _)| before).ends_with('/')
}

fn append(command: &mut String, option: &str, value: &str) {
    let _infallible =
        write!(command, " {option} {}", if is_plain(value) { value.to_owned() } else { quote(value) });
}

/// Whether the word needs no quotes in a shell.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Quotes one word for a POSIX shell: within single quotes every character except the single quote is literal.
///
/// Source: [Shell Command Language, 2.2.2](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02).
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, process::Command};

    use proptest::prelude::*;

    use super::*;

    fn presigned(method: &str, url: &str, headers: &[(&str, &str)]) -> PresignedRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        PresignedRequest {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: headers.collect(),
            ..Default::default()
        }
    }

    #[test]
    fn each_method_has_its_options_and_sends_every_header() {
        let url = "http://[::1]:9000/b/k?a=b";
        for (method, headers, command) in [
            ("GET", &[][..], "curl --fail --path-as-is --globoff 'http://[::1]:9000/b/k?a=b'"),
            ("HEAD", &[], "curl --fail --path-as-is --globoff --head 'http://[::1]:9000/b/k?a=b'"),
            (
                "PUT",
                &[("x-a", ""), ("x-b", "it's")],
                "curl --fail --path-as-is --globoff --upload-file FILE --header 'x-a;' --header 'x-b: it'\\''s' \
                 'http://[::1]:9000/b/k?a=b'",
            ),
            (
                "DELETE",
                &[],
                "curl --fail --path-as-is --globoff --request DELETE 'http://[::1]:9000/b/k?a=b'",
            ),
        ] {
            assert_eq!(url_command(&presigned(method, url, headers)), command);
        }
        for (method, url, headers, command) in [
            ("GET", "https://b.example/k/?a", &[][..], "curl --fail --path-as-is 'https://b.example/k/?a'"),
            (
                "PUT",
                "https://b.example/k/?a=/",
                &[],
                "curl --fail --path-as-is --request PUT --data-binary @FILE --header content-type: \
                 'https://b.example/k/?a=/'",
            ),
            (
                "PUT",
                "https://b.example/k/?a",
                &[("content-type", "a/b")],
                "curl --fail --path-as-is --request PUT --data-binary @FILE --header 'content-type: a/b' \
                 'https://b.example/k/?a'",
            ),
            (
                "PUT",
                "https://b.example/k?a=/",
                &[],
                "curl --fail --path-as-is --upload-file FILE 'https://b.example/k?a=/'",
            ),
        ] {
            assert_eq!(url_command(&presigned(method, url, headers)), command);
        }
    }

    #[test]
    fn the_file_is_the_last_field_of_a_form() {
        let map = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let form = PresignPostResponse {
            url: "https://b.example/".to_owned(),
            fields: map("key", "@a;b"),
            ..Default::default()
        };
        assert_eq!(
            form_command(&form, &map("acl", "")),
            "curl --fail --form-string 'key=@a;b' --form-string 'acl=' --form file=@FILE 'https://b.example/'"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_a_quoted_word_unchanged(word in "(?s)[^\u{0}]*") {
            let script = format!("printf %s {}", quote(&word));
            let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(output.stdout, word.into_bytes());
        }
    }
}
