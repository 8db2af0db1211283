// Command schemas writes JSON schemas for kubeconform: of each kind of Kubernetes, from the API server's own OpenAPI
// document, and of the custom resources that the chart uses, from the definitions that their projects publish. It takes
// all of them from the Go module proxy.
//
//	schemas DIR
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// source is a module whose files are read; it is no dependency of any program.
type source struct{ module, version, sum string }

// The API server of test/kubernetes has this version too.
var kubernetes = source{"k8s.io/kubernetes", "v1.34.4", "h1:Yy6R4QB8C9kJPp25GFqEvX5XQwY5qzKeqD0Xx6oAcmk="}

var definitions = []struct {
	source
	files string
}{
	{source{"github.com/kedacore/keda/v2", "v2.21.0", "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="},
		"config/crd/bases/keda.sh_scaledobjects.yaml"},
	{source{"github.com/prometheus-operator/prometheus-operator", "v0.85.0",
		"h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="},
		"example/prometheus-operator-crd/monitoring.coreos.com_p*.yaml"},
	{source{"sigs.k8s.io/gateway-api", "v1.6.3", "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc="},
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: schemas DIR")
	}
	if err := write(os.Args[1]); err != nil {
		log.Fatalf("schemas: %v", err)
	}
}

func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeKinds(dir); err != nil {
		return err
	}
	for _, from := range definitions {
		root, err := from.download()
		if err != nil {
			return err
		}
		files, err := filepath.Glob(filepath.Join(root, from.files))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("%s has no %s: %v", from.module, from.files, err)
		}
		for _, file := range files {
			if err := writeCustom(dir, file); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// download returns the module's folder. It fails if the module has another checksum.
func (s source) download() (string, error) {
	output, err := exec.Command("go", "mod", "download", "-json", s.module+"@"+s.version).Output()
	var module struct{ Dir, Sum, Error string }
	if parseErr := json.Unmarshal(output, &module); parseErr != nil || module.Error != "" {
		return "", fmt.Errorf("download %s: %w, %v %s", s.module, err, parseErr, module.Error)
	}
	if module.Sum != s.sum {
		return "", fmt.Errorf("%s %s has the checksum %s, not %s", s.module, s.version, module.Sum, s.sum)
	}
	return module.Dir, nil
}

// schema is a JSON schema.
type schema = map[string]any

// writeKinds writes a schema of each kind in the OpenAPI document, with the definitions that it needs.
func writeKinds(dir string) error {
	root, err := kubernetes.download()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(root, "api/openapi-spec/swagger.json"))
	if err != nil {
		return err
	}
	var document struct{ Definitions map[string]schema }
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	for _, definition := range document.Definitions {
		closeObjects(definition)
	}
	for name, definition := range document.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue // options and lists of several groups
		}
		kind := kinds[0].(schema)
		needed := map[string]any{}
		collect(document.Definitions, name, needed)
		if err := writeSchema(dir, kind["group"].(string), kind["version"].(string), kind["kind"].(string),
			schema{"$ref": "#/definitions/" + name, "definitions": needed}); err != nil {
			return err
		}
	}
	return nil
}

// collect adds the definition with a name, and all that it refers to.
func collect(all map[string]schema, name string, needed map[string]any) {
	if needed[name] != nil {
		return
	}
	needed[name] = all[name]
	walk(all[name], func(part schema) {
		if ref, ok := part["$ref"].(string); ok {
			collect(all, strings.TrimPrefix(ref, "#/definitions/"), needed)
		}
	})
}

// walk calls visit for value and each map in it.
func walk(value any, visit func(part schema)) {
	switch value := value.(type) {
	case schema:
		visit(value)
		for _, part := range value {
			walk(part, visit)
		}
	case []any:
		for _, part := range value {
			walk(part, visit)
		}
	}
}

// closeObjects refuses fields that a schema does not name, as the API server does with strict validation, and spells
// out what its formats mean.
func closeObjects(value schema) {
	walk(value, func(part schema) {
		_, hasFields := part["properties"].(schema)
		_, isOpen := part["additionalProperties"]
		if hasFields && !isOpen && part["x-kubernetes-preserve-unknown-fields"] != true {
			part["additionalProperties"] = false
		}
		description, _ := part["description"].(string)
		isQuantity := strings.HasPrefix(description, "Quantity is a fixed-point representation")
		if part["format"] == "int-or-string" || part["x-kubernetes-int-or-string"] == true || isQuantity {
			delete(part, "type")
			part["anyOf"] = []any{schema{"type": "number"}, schema{"type": "string"}}
		}
		delete(part, "format")
	})
}

// writeCustom writes the schemas of the versions of a custom resource.
func writeCustom(dir, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var resource struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema schema }
			}
		}
	}
	if err := yaml.Unmarshal(text, &resource); err != nil {
		return err
	}
	for _, version := range resource.Spec.Versions {
		closeObjects(version.Schema.OpenAPIV3Schema)
		if err := writeSchema(dir, resource.Spec.Group, version.Name, resource.Spec.Names.Kind,
			version.Schema.OpenAPIV3Schema); err != nil {
			return err
		}
	}
	return nil
}

// writeSchema writes a file by the name that kubeconform looks for ({{.ResourceKind}}{{.KindSuffix}}.json).
func writeSchema(dir, group, version, kind string, content schema) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	name := strings.ToLower(kind)
	if group != "" {
		name += "-" + strings.Split(group, ".")[0]
	}
	return os.WriteFile(filepath.Join(dir, name+"-"+version+".json"), text, 0o644)
}
