// Reads one of our logs with golang.org/x/mod, the code behind Go's checksum database: signed note, tiles, entries, proofs.
//
//	main FOLDER VKEY WITNESS-VKEY
//
// The note is opened by sumdb/note; the cosignature by a verifier of our own here, since that package knows no type 0x04. Every
// entry is hashed and proved to be under the checkpoint, and the tree to have grown from each of some smaller ones, by sumdb/tlog.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// folder is a tlog-tiles folder as a tlog.TileReader.
type folder string

func (f folder) Height() int { return height }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, t := range tiles {
		data, err := os.ReadFile(filepath.Join(string(f), "tile", strconv.Itoa(t.L), place(t.N, t.W)))
		if err != nil {
			return nil, err
		}
		if len(data) != t.W*tlog.HashSize {
			return nil, fmt.Errorf("%v has %d bytes", t, len(data))
		}
		found = append(found, data)
	}
	return found, nil
}

// place is <N>[.p/<W>] of tlog-tiles.
func place(n int64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < 1<<height {
		path += ".p/" + strconv.Itoa(width)
	}
	return path
}

// cosigner is a type 0x04 key (c2sp.org/tlog-cosignature) as a note.Verifier.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

func newCosigner(vkey string) (cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	key, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(parts) != 3 || len(key) != 33 || key[0] != 4 {
		return cosigner{}, errors.New("no verifier key of type 0x04")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	return cosigner{parts[0], binary.BigEndian.Uint32(sum[:]), key[1:]}, nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	dir := folder(os.Args[1])
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	witness, err := newCosigner(os.Args[3])
	check(err)

	data, err := os.ReadFile(filepath.Join(string(dir), "witnessed"))
	check(err)
	opened, err := note.Open(data, note.VerifierList(verifier, witness))
	check(err)
	if len(opened.Sigs) != 2 {
		log.Fatalf("%d of 2 signatures are known", len(opened.Sigs))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		log.Fatalf("no checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	tree := tlog.Tree{N: size, Hash: root}
	reader := tlog.TileHashReader(tree, dir)

	var number int64
	for first := int64(0); first < size; first += 1 << height {
		width := size - first
		if width > 1<<height {
			width = 1 << height
		}
		bundle, err := os.ReadFile(filepath.Join(string(dir), "tile/entries", place(first>>height, int(width))))
		check(err)
		for rest := bytes.NewReader(bundle); rest.Len() > 0; number++ {
			var length uint16
			check(binary.Read(rest, binary.BigEndian, &length))
			entry := make([]byte, length)
			if _, err := rest.Read(entry); err != nil && length > 0 {
				log.Fatal(err)
			}
			proof, err := tlog.ProveRecord(size, number, reader)
			check(err)
			check(tlog.CheckRecord(proof, size, root, number, tlog.RecordHash(entry)))
		}
	}
	if number != size {
		log.Fatalf("%d entries, and the checkpoint has %d", number, size)
	}
	for old := int64(1); old < size; old = old*2 + 1 {
		before, err := tlog.TreeHash(old, reader)
		check(err)
		proof, err := tlog.ProveTree(size, old, reader)
		check(err)
		check(tlog.CheckTree(proof, size, root, old, before))
	}
	fmt.Printf("%s: %d entries, each proved; cosigned by %s\n", lines[0], size, witness.name)
}
