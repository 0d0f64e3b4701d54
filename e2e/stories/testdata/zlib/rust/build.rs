fn main() {
    println!("cargo:rerun-if-env-changed=IMAGE");
    println!("cargo:rerun-if-env-changed=SHARED");
    let image = std::env::var("IMAGE").unwrap();
    match std::env::var_os("SHARED") {
        Some(_) => ocipkg::Package::new(image).shared(true).link().unwrap(),
        None => ocipkg::link_package(&image).unwrap(),
    }
}
