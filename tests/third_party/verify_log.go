// Verifies a log as the Go project verifies its own checksum database: with golang.org/x/mod's
// sumdb/note and sumdb/tlog, and nothing of Holdfast.
//
//	verify_log checkpoint  LOG KEY                  who signed it, and over what
//	verify_log inclusion   LOG KEY INDEX ENTRY      that the log holds the entry in that file there
//	verify_log consistency LOG KEY OLD-CHECKPOINT   that the log only added to what it was
//	verify_log tiles       LOG KEY                  every tile and every entry
//
// LOG is the URL prefix of a C2SP tlog-tiles log, KEY its verifier key. CA_FILE names certificates to
// trust, TOKEN_FILE a bearer token for entries. Exit status 0: it is so; 1: it is not.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8
const tileWidth = 1 << tileHeight

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func readFile(path string) []byte {
	content, err := os.ReadFile(path)
	check(err)
	return content
}

// A log behind a URL.
type remote struct {
	prefix string
	token  string
	client *http.Client
}

func connect(prefix string) *remote {
	log := &remote{prefix: strings.TrimSuffix(prefix, "/"), client: http.DefaultClient}
	if path := os.Getenv("CA_FILE"); path != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(readFile(path)) {
			fail("%s: no certificate", path)
		}
		log.client = &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool}}}
	}
	if path := os.Getenv("TOKEN_FILE"); path != "" {
		log.token = strings.TrimSpace(string(readFile(path)))
	}
	return log
}

func (log *remote) get(path string) ([]byte, error) {
	request, err := http.NewRequest("GET", log.prefix+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	if log.token != "" {
		request.Header.Set("Authorization", "Bearer "+log.token)
	}
	answer, err := log.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	return content, err
}

// tlog-tiles leaves out the height, which is always 8, of the path that sumdb uses.
func tilePath(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
}

// tlog.TileReader
func (log *remote) Height() int { return tileHeight }

func (log *remote) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var contents [][]byte
	for _, tile := range tiles {
		content, err := log.get(tilePath(tile))
		if err != nil {
			return nil, err
		}
		contents = append(contents, content)
	}
	return contents, nil
}

func (log *remote) SaveTiles([]tlog.Tile, [][]byte) {}

// The tree in a checkpoint that the key has signed.
func open(message []byte, key string) tlog.Tree {
	verifier, err := note.NewVerifier(key)
	check(err)
	signed, err := note.Open(message, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		fail("not a checkpoint of %s: %q", verifier.Name(), signed.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	if len(root) != len(tree.Hash) || strconv.FormatInt(size, 10) != lines[1] {
		fail("not a checkpoint: %q", signed.Text)
	}
	copy(tree.Hash[:], root)
	return tree
}

func (log *remote) newest(key string) tlog.Tree {
	message, err := log.get("checkpoint")
	check(err)
	return open(message, key)
}

func (log *remote) inclusion(tree tlog.Tree, index int64, entry []byte) {
	hashes := tlog.TileHashReader(tree, log)
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	check(err)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
}

func (log *remote) consistency(tree tlog.Tree, old tlog.Tree) {
	proof, err := tlog.ProveTree(tree.N, old.N, tlog.TileHashReader(tree, log))
	check(err)
	check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
}

// The entries of a bundle, each behind its length.
func split(bundle []byte) [][]byte {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle) < 2+int(bundle[0])<<8+int(bundle[1]) {
			fail("a bundle ends within an entry")
		}
		length := int(bundle[0])<<8 + int(bundle[1])
		entries = append(entries, bundle[2:2+length])
		bundle = bundle[2+length:]
	}
	return entries
}

// Rebuilds the whole tree from the entries alone, then compares every tile with it.
func (log *remote) tiles(tree tlog.Tree) {
	var stored []tlog.Hash
	hashes := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for index := int64(0); index < tree.N; {
		tile := tlog.Tile{H: tileHeight, L: 0, N: index / tileWidth, W: tileWidth}
		if rest := tree.N - index; rest < tileWidth {
			tile.W = int(rest)
		}
		bundle, err := log.get(strings.Replace(tilePath(tile), "tile/0/", "tile/entries/", 1))
		check(err)
		entries := split(bundle)
		if len(entries) != tile.W {
			fail("%d entries in the bundle %d, not %d", len(entries), tile.N, tile.W)
		}
		for _, entry := range entries {
			added, err := tlog.StoredHashes(index, entry, hashes)
			check(err)
			stored = append(stored, added...)
			index++
		}
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	check(err)
	if root != tree.Hash {
		fail("the entries lead to the root %s, not %s", root, tree.Hash)
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, tree.N) {
		expected, err := tlog.ReadTileData(tile, hashes)
		check(err)
		served, err := log.get(tilePath(tile))
		check(err)
		if !bytes.Equal(expected, served) {
			fail("%s is not what the entries lead to", tilePath(tile))
		}
	}
}

func main() {
	arguments := os.Args[1:]
	if len(arguments) < 3 {
		fail("which check, of which log, with which key?")
	}
	what, log, key := arguments[0], connect(arguments[1]), arguments[2]
	tree := log.newest(key)
	switch {
	case what == "checkpoint" && len(arguments) == 3:
	case what == "inclusion" && len(arguments) == 5:
		index, err := strconv.ParseInt(arguments[3], 10, 64)
		check(err)
		log.inclusion(tree, index, readFile(arguments[4]))
	case what == "consistency" && len(arguments) == 4:
		log.consistency(tree, open(readFile(arguments[3]), key))
	case what == "tiles" && len(arguments) == 3:
		log.tiles(tree)
	default:
		fail("no such check: %s", strings.Join(arguments, " "))
	}
	fmt.Printf("%s: %d %s\n", what, tree.N, tree.Hash)
}
