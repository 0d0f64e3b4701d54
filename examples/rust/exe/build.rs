const IMAGE: &str = "localhost:5000/ocipkg-examples/cpp:0.1.0";

fn main() {
    println!("cargo:rerun-if-env-changed=OCIPKG_EXAMPLE_IMAGE");
    let image = std::env::var("OCIPKG_EXAMPLE_IMAGE").unwrap_or_else(|_| IMAGE.to_string());
    ocipkg::link_package(&image).unwrap();
}
