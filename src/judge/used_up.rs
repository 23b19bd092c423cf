//! Whether a proxy's words say that the account behind it is used up: "quota exceeded", "TRAFFIC_EXHAUSTED".
//!
//! The name of something that an account has must stand beside a word that says it is gone, in one clause. A name alone, as
//! in "load balance", says nothing, and neither does what machines run out of: "disk quota exceeded".

/// What an account has, and which words beside its name say enough.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resource {
    /// Money, or what was bought with it: nothing else has the name.
    Account,
    /// What is metered. A machine may lack it too.
    Metered,
    /// As metered, but by its bare name almost anything: only its limit counts.
    Data,
}

const METERS: [&str; 9] = ["limit", "limits", "quota", "allowance", "plan", "cap", "package", "balance", "credit"];
const BETWEEN: [&str; 9] = ["is", "was", "has", "have", "been", "are", "were", "already", "fully"];
const GONE: [&str; 10] =
    ["exceeded", "exhausted", "depleted", "reached", "consumed", "spent", "gone", "empty", "expired", "insufficient"];
/// What is left of an account that has next to nothing.
const AS_GOOD_AS_GONE: [&str; 3] = ["zero", "low", "negative"];
const BEFORE: [&str; 18] = [
    "your",
    "the",
    "current",
    "daily",
    "monthly",
    "account",
    "available",
    "remaining",
    "trial",
    "free",
    "plan",
    "api",
    "proxy",
    "prepaid",
    "traffic",
    "bandwidth",
    "data",
    "of",
];
/// What has a quota or a balance without being an account.
const MACHINES: [&str; 6] = ["load", "disk", "storage", "memory", "cpu", "inode"];

/// Most words that are skipped between the two.
const MOST_BETWEEN: usize = 4;

struct Word<'a> {
    text: &'a str,
    // Whether a clause ends behind it.
    is_last: bool,
}

/// Whether a text says that a plan is used up.
pub(super) fn says_used_up(text: &str) -> bool {
    let text = text.to_lowercase();
    let words = words(&text);
    (0..words.len()).any(|at| {
        if begins_with(&words[at..], &["payment", "required"]) {
            return true;
        }
        let is_machines = at > 0 && MACHINES.contains(&words[at - 1].text);
        resource(words[at].text)
            .is_some_and(|of| !is_machines && (is_gone(&words[at..], of) || is_lacking(&words[..=at], of)))
    })
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut at = 0;
    for part in text.split_inclusive(|letter: char| !letter.is_alphanumeric()) {
        at += part.len();
        let word = part.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        let ends = part.ends_with(['.', '!', '?', ';', '<', '>', '\n']) || at == text.len();
        if !word.is_empty() {
            words.push(Word { text: word, is_last: ends });
        } else if let Some(last) = words.last_mut() {
            last.is_last |= ends;
        }
    }
    words
}

fn resource(word: &str) -> Option<Resource> {
    match word {
        "quota" | "balance" | "credit" | "credits" | "funds" => Some(Resource::Account),
        "traffic" | "bandwidth" => Some(Resource::Metered),
        "data" => Some(Resource::Data),
        _ => None,
    }
}

fn begins_with(words: &[Word<'_>], phrase: &[&str]) -> bool {
    words.len() >= phrase.len()
        && phrase
            .iter()
            .zip(words)
            .enumerate()
            .all(|(at, (wanted, word))| word.text == *wanted && (at + 1 == phrase.len() || !word.is_last))
}

fn ends_with(words: &[Word<'_>], phrase: &[&str]) -> bool {
    words.len() >= phrase.len()
        && words.last().is_some_and(|word| !word.is_last)
        && begins_with(&words[words.len() - phrase.len()..], phrase)
}

/// "traffic limit has been exceeded": the words begin with the resource.
fn is_gone(words: &[Word<'_>], resource: Resource) -> bool {
    let mut has_meter = false;
    let mut at = 0;
    while at < MOST_BETWEEN && words.get(at).is_some_and(|word| !word.is_last) {
        at += 1;
        let Some(next) = words.get(at) else { return false };
        let is_meter = METERS.contains(&next.text);
        has_meter |= is_meter;
        if is_meter || BETWEEN.contains(&next.text) {
            continue;
        }
        let rest = &words[at..];
        let says_gone = GONE.contains(&next.text)
            || begins_with(rest, &["used", "up"])
            || begins_with(rest, &["too", "low"])
            || begins_with(rest, &["run", "out"])
            || (resource == Resource::Account && AS_GOOD_AS_GONE.contains(&next.text))
            // Not "traffic over port 25".
            || (next.text == "over" && next.is_last);
        return says_gone && (resource != Resource::Data || has_meter);
    }
    false
}

/// "out of traffic", "insufficient account balance": the words end with the resource.
fn is_lacking(words: &[Word<'_>], resource: Resource) -> bool {
    let mut before = &words[..words.len() - 1];
    for _ in 0..=MOST_BETWEEN {
        let has = |phrase: &[&str]| ends_with(before, phrase);
        if has(&["out", "of"]) {
            return true;
        }
        if resource != Resource::Data && (has(&["exceeded"]) || has(&["exhausted"]) || has(&["no", "more"])) {
            return true;
        }
        if resource == Resource::Account
            && (has(&["insufficient"])
                || has(&["not", "enough"])
                || has(&["over"])
                || has(&["no"])
                || AS_GOOD_AS_GONE.iter().any(|word| has(&[word])))
        {
            return true;
        }
        match before.split_last() {
            Some((word, rest)) if !word.is_last && BEFORE.contains(&word.text) => before = rest,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::says_used_up;

    #[test]
    fn words_of_providers() {
        for text in [
            "Quota exceeded",
            "quota used up",
            "Your QUOTA is gone",
            "TRAFFIC_EXHAUSTED",
            "traffic limit has been exceeded",
            "Traffic limit reached.",
            "The traffic limit of 5 GB? bandwidth limit reached",
            "exceeded bandwidth limit",
            "bandwidth over.",
            "Bandwidth Limit Exceeded",
            "data limit reached",
            "monthly data transfer: data plan exhausted",
            "you are out of data",
            "You have run out of proxy traffic",
            "insufficient balance",
            "Insufficient account balance, top up",
            "Insufficient funds",
            "balance is too low",
            "Your balance is zero.",
            "negative account balance",
            "Low credits: top up",
            "Not Enough Credits",
            "no credits left",
            "{\"error\": \"insufficient_credits\"}",
            "You exceeded your current quota, please check your plan",
            "trial quota or credits were exhausted",
            "You've exhausted the monthly credits",
            "402 Payment Required",
            "over quota",
        ] {
            assert!(says_used_up(text), "{text}");
        }
    }

    #[test]
    fn words_that_are_about_something_else() {
        for text in [
            "",
            "data transfer is over",
            "the data is over",
            "data overflow",
            "imbalance, quotas, dataset over, overdata reached",
            "load balance error: no healthy upstream",
            "load balance exhausted",
            "from the load balancer, insufficient storage",
            "disk quota exceeded",
            "traffic over port 25 is not allowed",
            "Unusual traffic from your network",
            "insufficient data received",
            "not enough bandwidth",
            "timeout exceeded. Traffic goes by another way",
            "deadline exceeded\ntraffic",
            "bandwidth measured. Exceeded retries",
            "check your balance",
            "low load balance, zero traffic",
            "see https://quota.test/balance",
            "Payment. Required fields are missing",
        ] {
            assert!(!says_used_up(text), "{text}");
        }
    }
}
