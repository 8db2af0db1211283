package build

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cellblock/internal/environment"
)

// sumsFile has the SHA-256 of every regular file beside it, in the format of sha256sum.
const sumsFile = "SHA256SUMS"

// writeSums writes the file of hashes of a finished tree.
func writeSums(dir string) error {
	sums, err := hashFiles(context.Background(), dir)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&text, "%s  %s\n", sums[path], path)
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), []byte(text.String()), 0o644)
}

// hashFiles returns the hash of every regular file below dir, by its relative path, but for those written last.
func hashFiles(ctx context.Context, dir string) (map[string]string, error) {
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil || !entry.Type().IsRegular() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil || relative == sumsFile || relative == environment.ManifestFile {
			return err
		}
		sums[relative], err = hashFile(path)
		return err
	})
	return sums, err
}

func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// CheckFiles returns the number of files of the environment in dir. It is an error if one is missing, was changed or
// was added since the build; the error names the first few.
func CheckFiles(ctx context.Context, dir string) (int, error) {
	wanted, err := readSums(filepath.Join(dir, sumsFile))
	if err != nil {
		return 0, err
	}
	found, err := hashFiles(ctx, dir)
	if err != nil {
		return 0, err
	}
	var wrong []string
	for path, sum := range found {
		if wanted[path] == "" {
			wrong = append(wrong, path+" was added")
		} else if wanted[path] != sum {
			wrong = append(wrong, path+" was changed")
		}
	}
	for path := range wanted {
		if found[path] == "" {
			wrong = append(wrong, path+" is missing")
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		const named = 5
		return len(wanted), fmt.Errorf("%d of %d files are not as they were built: %s",
			len(wrong), len(wanted), strings.Join(wrong[:min(named, len(wrong))], "; "))
	}
	return len(wanted), nil
}

func readSums(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sums := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		sum, name, found := strings.Cut(lines.Text(), "  ")
		if !found {
			return nil, fmt.Errorf("%s: %q is no line of sha256sum", path, lines.Text())
		}
		sums[name] = sum
	}
	return sums, lines.Err()
}
