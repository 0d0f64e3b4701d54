fn main() {
    let png = pkg_config::Config::new().atleast_version("1.6").probe("libpng").unwrap();
    // What the loader is told has to come from the program's own build script.
    for arg in png.ld_args {
        println!("cargo:rustc-link-arg=-Wl,{}", arg.join(","));
    }
}
