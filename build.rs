//! Tells the linker which functions of Python's C interface are called through a wrapper: those that src/py/exit.rs names.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "python")]
    python::main();
}

#[cfg(feature = "python")]
mod python {
    const NAMED_IN: &str = "src/py/exit.rs";

    pub(super) fn main() {
        println!("cargo::rerun-if-changed={NAMED_IN}");
        pyo3_build_config::use_pyo3_cfgs();
        let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
        let minor = pyo3_build_config::get().version().minor;
        // As src/py/mod.rs has it.
        if target("OS") != "linux" || target("ENV") != "gnu" || minor > 11 {
            return;
        }
        let text = std::fs::read_to_string(NAMED_IN).expect("the file is part of the package");
        let mut wanted = true;
        for line in text.lines().map(str::trim_start) {
            if let Some(condition) = line.strip_prefix("#[cfg(") {
                wanted = holds(condition, minor);
                continue;
            }
            let wrapped = line
                .strip_prefix("unsafe extern \"C-unwind\" fn __wrap_")
                .or_else(|| line.strip_prefix("fn ").filter(|rest| rest.starts_with("Py") || rest.starts_with("_Py")));
            if let Some((name, _)) = wrapped.filter(|_| wanted).and_then(|rest| rest.split_once('(')) {
                println!("cargo::rustc-link-arg=-Wl,--wrap={name}");
            }
            if !line.starts_with("#[") {
                wanted = true;
            }
        }
    }

    /// Whether a condition of the form `Py_3_11` or `not(Py_3_11)` holds for the interpreter that is built for.
    fn holds(condition: &str, minor: u8) -> bool {
        let (negated, rest) = match condition.strip_prefix("not(") {
            Some(rest) => (true, rest),
            None => (false, condition),
        };
        let least: String = rest.trim_start_matches("Py_3_").chars().take_while(char::is_ascii_digit).collect();
        least.parse().is_ok_and(|least: u8| minor >= least) != negated
    }
}
