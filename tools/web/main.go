// Command web bundles the pages of web/ into internal/webui/dist, where the API embeds them. It also writes the types of
// the contract for them. `scripts/setup --web` installs the packages that it needs; go generate runs it.
//
// The same sources, packages and esbuild return the same bytes, so that generate-check can compare them.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("web: ")
	root := flag.String("root", "..", "`folder` of the repository")
	tests := flag.String("tests", "", "bundle the unit tests into this `folder` instead")
	flag.Parse()
	var err error
	if *tests != "" {
		err = bundleTests(*root, *tests)
	} else {
		err = generate(*root)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func generate(root string) error {
	web := filepath.Join(root, "web")
	if _, err := os.Stat(filepath.Join(web, "node_modules", "preact")); err != nil {
		return errors.New("the packages of web/package.json are not installed; run scripts/setup --web")
	}
	if err := writeContract(root); err != nil {
		return err
	}
	bundle, err := bundlePages(web)
	if err != nil {
		return err
	}
	dist := filepath.Join(root, "internal", "webui", "dist")
	if err := os.RemoveAll(dist); err != nil {
		return err
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	for _, file := range bundle.OutputFiles {
		if err := os.WriteFile(filepath.Join(dist, filepath.Base(file.Path)), file.Contents, 0o644); err != nil {
			return err
		}
	}
	pages, err := filepath.Glob(filepath.Join(web, "pages", "*"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dist, filepath.Base(page)), content, 0o644); err != nil {
			return err
		}
	}
	return writeLicenses(web, bundle.Metafile, filepath.Join(dist, "licenses.txt"))
}

// writeContract writes the types of api/openapi.yaml.
func writeContract(root string) error {
	command := exec.Command(filepath.Join(root, "web/node_modules/.bin/openapi-typescript"),
		filepath.Join(root, "api/openapi.yaml"), "-o", filepath.Join(root, "web/src/shared/contract.ts"))
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("write the types of the contract: %w: %s", err, output)
	}
	return nil
}

// options are those of pages and tests alike. web is relative to the working directory.
func options(web string) (api.BuildOptions, error) {
	absolute, err := filepath.Abs(web)
	return api.BuildOptions{
		AbsWorkingDir:   absolute,
		Bundle:          true,
		Format:          api.FormatESModule,
		Target:          api.ES2022,
		JSX:             api.JSXAutomatic,
		JSXImportSource: "preact",
		LogLevel:        api.LogLevelWarning,
		Charset:         api.CharsetUTF8,
	}, err
}

func bundlePages(web string) (api.BuildResult, error) {
	build, err := options(web)
	if err != nil {
		return api.BuildResult{}, err
	}
	build.EntryPoints = []string{
		"src/playground/playground.tsx", "src/console/console.tsx", "src/frame/frame.ts", "src/shared/theme_early.ts",
		"styles/playground.css", "styles/console.css",
	}
	build.EntryNames = "[name]"
	build.Outdir = "dist" // nothing is written there
	build.MinifyIdentifiers, build.MinifySyntax, build.MinifyWhitespace = true, true, true
	build.LegalComments = api.LegalCommentsNone // licenses.txt has the licences in full
	build.Metafile = true
	result := api.Build(build)
	return result, failureOf(result)
}

// bundleTests bundles each *.test.ts for Node.js.
func bundleTests(root, into string) error {
	web := filepath.Join(root, "web")
	build, err := options(web)
	if err != nil {
		return err
	}
	for _, pattern := range []string{"src/*/*.test.ts", "src/*/*.test.tsx"} {
		found, err := filepath.Glob(filepath.Join(web, pattern))
		if err != nil {
			return err
		}
		for _, file := range found {
			relative, err := filepath.Rel(web, file)
			if err != nil {
				return err
			}
			build.EntryPoints = append(build.EntryPoints, relative)
		}
	}
	if build.Outdir, err = filepath.Abs(into); err != nil {
		return err
	}
	build.Platform = api.PlatformNode
	build.OutExtension = map[string]string{".js": ".mjs"}
	build.Sourcemap = api.SourceMapInline
	build.Write = true
	return failureOf(api.Build(build))
}

func failureOf(result api.BuildResult) error {
	if len(result.Errors) > 0 {
		return fmt.Errorf("esbuild reports %d errors", len(result.Errors))
	}
	return nil
}

// writeLicenses writes the licences of the packages that the bundles contain, as their licences ask.
func writeLicenses(web, metafile, path string) error {
	var meta struct {
		Inputs map[string]json.RawMessage `json:"inputs"`
	}
	if err := json.Unmarshal([]byte(metafile), &meta); err != nil {
		return err
	}
	var names []string
	for input := range meta.Inputs {
		_, inside, found := strings.Cut(input, "node_modules/")
		if !found {
			continue
		}
		parts := strings.SplitN(inside, "/", 3)
		name := parts[0]
		if strings.HasPrefix(name, "@") {
			name += "/" + parts[1]
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var text bytes.Buffer
	text.WriteString("The scripts of these pages contain the following packages.\n")
	for _, name := range names {
		if err := appendLicense(&text, web, name); err != nil {
			return err
		}
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}

func appendLicense(text *bytes.Buffer, web, name string) error {
	folder := filepath.Join(web, "node_modules", name)
	content, err := os.ReadFile(filepath.Join(folder, "package.json"))
	if err != nil {
		return err
	}
	var described struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(content, &described); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "LICENSE*"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no licence file", name)
	}
	license, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(text, "\n--- %s %s\n\n%s\n", name, described.Version, bytes.TrimSpace(license))
	return nil
}
