fn main() {
    ocipkg::link_package("libssh2").unwrap();
}
