package layer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// document makes JSON that compresses about as a config does.
func document(size int) []byte {
	random := rand.New(rand.NewPCG(5, 5))
	var text bytes.Buffer
	for text.Len() < size {
		text.WriteString(`{"path":"lib/` + strings.Repeat(string(rune('a'+random.IntN(26))), 8) + `","size":12345},`)
	}
	return text.Bytes()[:size]
}

func packDocument(t testing.TB, raw []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	z, err := Compress(&packed, int64(len(raw)))
	must(t, err)
	for rest := raw; len(rest) > 0; {
		n := min(len(rest), 1000) // however it is cut, it becomes the same
		_, err := z.Write(rest[:n])
		must(t, err)
		rest = rest[n:]
	}
	must(t, z.Close())
	return packed.Bytes()
}

func unpackDocument(raw []byte, limit int64) ([]byte, error) {
	d, err := Decompress(raw, limit)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(d)
}

func TestADocumentIsCompressedAndReadBack(t *testing.T) {
	for _, size := range []int{1, 255, 300, 5_000, 128 << 10, 128<<10 + 1, 9 << 20} {
		want := document(size)
		packed := packDocument(t, want)
		again := packDocument(t, want)
		if !bytes.Equal(packed, again) {
			t.Errorf("%d bytes are compressed in two ways", size)
		}
		got, err := unpackDocument(packed, int64(size))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes come back as %d, %v", size, len(got), err)
		}
		if _, err := unpackDocument(packed, int64(size)-1); !errors.Is(err, errdef.ErrVerification) {
			t.Errorf("%d bytes are read although fewer are allowed: %v", size, err)
		}
	}
}

// Frames of other writers, which may not say how large their content is.
func TestADocumentThatIsNotOneGoodFrameIsRefused(t *testing.T) {
	const limit = 1 << 20
	text := document(300_000)
	good := packDocument(t, text)
	silent := compressed(t, text, Zstd)
	if got, err := unpackDocument(silent, limit); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("a frame that does not say its size gives %d bytes, %v", len(got), err)
	}
	bomb := packDocument(t, make([]byte, limit+1))
	skippable := binary.LittleEndian.AppendUint32([]byte{0x50, 0x2a, 0x4d, 0x18}, 3)
	skippable = append(skippable, "abc"...)
	damaged := slices.Clone(good)
	damaged[len(damaged)/2] ^= 0x40
	for name, test := range map[string]struct {
		raw  []byte
		text string
	}{
		"nothing":                {nil, "not compressed with zstd"},
		"JSON":                   {text, "not compressed with zstd"},
		"gzip":                   {compressed(t, text, Gzip), "not compressed with zstd"},
		"half a header":          {good[:3], "not compressed with zstd"},
		"a header alone":         {good[:10], "cut short"},
		"half a frame":           {good[:len(good)/2], "cut short"},
		"no checksum":            {good[:len(good)-4], "cut short"},
		"a byte too few":         {silent[:len(silent)-1], "cut short"},
		"a byte too many":        {append(slices.Clone(good), 0), "data after its end"},
		"two frames":             {slices.Concat(good, good), "data after its end"},
		"a note after it":        {slices.Concat(good, skippable), "data after its end"},
		"a note before it":       {slices.Concat(skippable, good), "not compressed with zstd"},
		"another bit":            {damaged, "decompress it"},
		"a bomb that says so":    {bomb, "larger than 1048576 bytes"},
		"a bomb that says not":   {compressed(t, make([]byte, 8<<20), Zstd), "larger than 1048576 bytes"},
		"a window beyond reason": {[]byte("\x28\xb5\x2f\xfd\x00\x88\x09\x00\x00x"), "window"},
	} {
		_, err := unpackDocument(test.raw, limit)
		if !errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: the error is %v; want one about %q", name, err, test.text)
		}
	}
}

func FuzzDecompress(f *testing.F) {
	for _, size := range []int{1, 5_000, 200_000} {
		packed := packDocument(f, document(size))
		f.Add(packed)
		f.Add(packed[:len(packed)/2])
		f.Add(slices.Concat(packed, packed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		const limit = 1 << 20
		got, err := unpackDocument(raw, limit)
		if err != nil {
			if !errors.Is(err, errdef.ErrVerification) {
				t.Fatalf("the error %v is not one of verification", err)
			}
			return
		}
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		must(t, err)
		defer d.Close()
		want, err := d.DecodeAll(raw, nil)
		if err != nil || len(got) > limit || !bytes.Equal(got, want) {
			t.Fatalf("it is read as %d bytes, and by another as %d, %v", len(got), len(want), err)
		}
	})
}
