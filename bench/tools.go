package main

// tool is a way to bring a directory through a registry. Its scripts run in an
// empty directory of their own, which is also the home, with
//
//	SET   the directory to push
//	REG   the registry, as host:port
//	REPO  a repository in it, for the tag 1
//	OUT   an empty directory to pull into
//
// in the environment.
type tool struct {
	Name string
	// Prepare is run before, and not timed.
	Prepare string
	Push    string
	Pull    string
	// Tree prints where in OUT the files are then; empty when it is no tree that
	// arrives, and Pull has checked the bytes itself.
	Tree string
	// Short puts it also into the table of the second registry.
	Short bool
	// Modes says that executable bits arrive.
	Modes bool
}

// reference is the name of the tool that all are compared with.
const reference = "pipeline"

// putBlob and putManifest speak to the registry as its protocol has it.
const putBlob = `
put() { # FILE DIGEST
	local at
	at=$(curl -fsS -o /dev/null -w '%header{location}' -X POST "http://$REG/v2/$REPO/blobs/uploads/")
	case $at in *\?*) at="$at&digest=$2" ;; *) at="$at?digest=$2" ;; esac
	curl -fsS -o /dev/null -H 'Content-Type: application/octet-stream' -T "$1" "$at"
}
`

// putConfig sends the config that the manifest names, while the blob is made.
const putConfig = `
empty=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
printf '{}' >config
put config $empty &
`

const putManifest = `
type=application/vnd.oci.image.manifest.v1+json
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"%s","size":%d}]}' \
	$type $empty "$digest" "$(stat -c %s blob)" >manifest
wait $!
curl -fsS -o /dev/null -X PUT -H "Content-Type: $type" --data-binary @manifest "http://$REG/v2/$REPO/manifests/1"
`

const makeArchive = `tar -C "$SET" -cf - . | zstd -q -3 -T2 -o files.tar.zst`

// ourTree is the package that came into the store last. image-directory would refuse
// one that has a library which needs a newer glibc than the machine's.
const ourTree = `ls -dt "$OUT"/store/packages/sha256/*/root | head -n 1`

var tools = []tool{
	{
		Name:  "ocipkg",
		Push:  `ocipkg --quiet push "$SET" "$REG/$REPO:1"`,
		Pull:  `OCIPKG_HOME=$OUT/store ocipkg --quiet get "$REG/$REPO:1"`,
		Tree:  ourTree,
		Short: true, Modes: true,
	},
	{
		Name: reference,
		Push: putBlob + putConfig + `
tar -C "$SET" -cf - . | zstd -q -3 -T2 | tee blob | openssl dgst -sha256 -r >sum
digest=sha256:$(cut -d' ' -f1 sum)
put blob $digest
` + putManifest,
		Pull: `
curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$REG/v2/$REPO/manifests/1" >got
digest=$(grep -o 'sha256:[0-9a-f]*' got | tail -n 1)
mkfifo check
openssl dgst -sha256 -r <check >got-sum &
curl -fsS "http://$REG/v2/$REPO/blobs/$digest" | tee check | tar --zstd -xf - -C "$OUT"
wait $!
[ "sha256:$(cut -d' ' -f1 got-sum)" = $digest ]`,
		Tree:  `echo "$OUT"`,
		Short: true, Modes: true,
	},
	{
		Name:  "oras directory",
		Push:  `cd "$(dirname "$SET")" && oras push --plain-http --no-tty "$REG/$REPO:1" "$(basename "$SET")"`,
		Pull:  `oras pull --plain-http --no-tty -o "$OUT" "$REG/$REPO:1"`,
		Tree:  `echo "$OUT/$(basename "$SET")"`,
		Short: true, Modes: true,
	},
	{
		Name: "crane tar.gz",
		Push: `
tar -C "$SET" -czf layer.tar.gz .
crane append --insecure --oci-empty-base -f layer.tar.gz -t "$REG/$REPO:1"`,
		Pull:  `crane export --insecure "$REG/$REPO:1" - | tar -xf - -C "$OUT"`,
		Tree:  `echo "$OUT"`,
		Modes: true,
	},
	{
		Name: "regctl directory",
		Push: `cd "$(dirname "$SET")" && regctl --host "reg=$REG,tls=disabled" artifact put \
	--artifact-type application/vnd.example.bench --file-title -f "$(basename "$SET")" "$REG/$REPO:1"`,
		Pull: `regctl --host "reg=$REG,tls=disabled" artifact get -o "$OUT" "$REG/$REPO:1"`,
		Tree: `echo "$OUT/$(basename "$SET")"`,
		// It unpacks without executable bits.
	},
	{
		Name: "umoci and skopeo",
		Push: `
umoci init --layout oci
umoci new --image oci:1
umoci insert --image oci:1 "$SET" /
skopeo --insecure-policy copy -q --dest-tls-verify=false oci:oci:1 "docker://$REG/$REPO:1"`,
		Pull: `
skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$REG/$REPO:1" oci:in:1
umoci unpack --image in:1 "$OUT/bundle"`,
		Tree:  `echo "$OUT/bundle/rootfs"`,
		Modes: true,
	},
	{
		Name:  "oras tar.zst",
		Push:  makeArchive + ` && oras push --plain-http --no-tty "$REG/$REPO:1" files.tar.zst`,
		Pull:  `oras pull --plain-http --no-tty -o in "$REG/$REPO:1" && tar --zstd -xf in/files.tar.zst -C "$OUT"`,
		Tree:  `echo "$OUT"`,
		Modes: true,
	},
	{
		Name: "regctl tar.zst",
		Push: makeArchive + ` && regctl --host "reg=$REG,tls=disabled" artifact put \
	--artifact-type application/vnd.example.bench --file-title -f files.tar.zst "$REG/$REPO:1"`,
		Pull: `mkdir in && regctl --host "reg=$REG,tls=disabled" artifact get -o in "$REG/$REPO:1" &&
	tar --zstd -xf in/files.tar.zst -C "$OUT"`,
		Tree:  `echo "$OUT"`,
		Short: true, Modes: true,
	},
	{
		Name: "curl of a ready blob",
		Prepare: `
tar -C "$SET" -cf - . | zstd -q -3 -T2 >blob
openssl dgst -sha256 -r blob >sum`,
		Push:  putBlob + `put blob "sha256:$(cut -d' ' -f1 sum)"`,
		Pull:  `curl -fsS -o got "http://$REG/v2/$REPO/blobs/sha256:$(cut -d' ' -f1 sum)"`,
		Short: true,
	},
}
