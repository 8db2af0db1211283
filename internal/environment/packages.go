package environment

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Packages returns the distributions that are installed in the virtual environment dir, sorted by name, from the
// metadata beside them.
func Packages(dir string) ([]Package, error) {
	folders, err := filepath.Glob(filepath.Join(dir, "lib", "python3.*", "site-packages", "*.dist-info"))
	if err != nil {
		return nil, err
	}
	var packages []Package
	for _, folder := range folders {
		p, err := readDistribution(folder)
		if err != nil {
			return nil, fmt.Errorf("package in %s: %w", folder, err)
		}
		packages = append(packages, p)
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return packages, nil
}

var separators = regexp.MustCompile(`[-_.]+`)

// NormalizeName returns the name of a distribution as PyPI compares it: in lower case, with single hyphens.
func NormalizeName(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

func readDistribution(folder string) (Package, error) {
	var p Package
	metadata, err := os.Open(filepath.Join(folder, "METADATA"))
	if err != nil {
		return p, err
	}
	defer metadata.Close()
	lines := bufio.NewScanner(metadata)
	lines.Buffer(nil, 1<<20)                 // a licence may stand in one line
	for lines.Scan() && lines.Text() != "" { // the header ends with an empty line
		if name, found := strings.CutPrefix(lines.Text(), "Name: "); found {
			p.Name = NormalizeName(strings.TrimSpace(name))
		}
		if version, found := strings.CutPrefix(lines.Text(), "Version: "); found {
			p.Version = strings.TrimSpace(version)
		}
	}
	if err := lines.Err(); err != nil {
		return p, err
	}
	if p.Name == "" || p.Version == "" {
		return p, errors.New("METADATA has no Name or no Version")
	}
	p.Imports, err = topLevel(filepath.Join(folder, "RECORD"))
	return p, err
}

var moduleName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// topLevel returns the top-level modules among the files that a RECORD lists. top_level.txt is no help: few
// distributions have one, and it may be out of date.
func topLevel(record string) ([]string, error) {
	file, err := os.Open(record)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rows := csv.NewReader(file)
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	modules := map[string]bool{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return slices.Sorted(maps.Keys(modules)), nil
		}
		if err != nil {
			return nil, err
		}
		if extension := filepath.Ext(row[0]); extension != ".py" && extension != ".so" {
			continue
		}
		first, _, nested := strings.Cut(row[0], "/")
		if !nested { // a module of one file: six.py, _cffi_backend.cpython-311-x86_64-linux-gnu.so
			first, _, _ = strings.Cut(first, ".")
		}
		if moduleName.MatchString(first) && first != "__pycache__" {
			modules[first] = true
		}
	}
}
