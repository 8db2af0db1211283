package stack

import (
	"errors"
	"os"
	"path/filepath"

	installed "cellblock/internal/environment"
	"cellblock/internal/environment/environmenttest"
)

// Environment is the environment in which a suite runs its scripts; the zero value is the default.
type Environment struct {
	// Name is "" for the default.
	Name string
	// Dir is the folder of the workers' environments.
	Dir string
	// made reports that Dir was made for this suite.
	made bool
}

// Handmade is the name of the environment that OpenEnvironment makes, with one small package, and Neighbour that of
// another one beside it, which no script in the first may see.
const (
	Handmade  = "handmade"
	Neighbour = "neighbour"
)

// OpenEnvironment returns the environment of a setting's value: Handmade or "" make two small environments, of which
// the suite uses the first, or the default beside them; another name is that of an environment in ENVIRONMENTS_DIR of
// this machine. The caller must call Close.
func OpenEnvironment(name string) (Environment, error) {
	if name != "" && name != Handmade {
		dir := os.Getenv("ENVIRONMENTS_DIR")
		if dir == "" {
			dir = installed.DefaultPrefix() + "-environments"
		}
		_, err := installed.Open(dir, name)
		return Environment{Name: name, Dir: dir}, err
	}
	// Beside the default, where attempts expect folders. Sandboxes have a /tmp of their own.
	dir, err := os.MkdirTemp(filepath.Dir(installed.DefaultPrefix()), "cellblock-environments-")
	if err != nil {
		return Environment{}, err
	}
	e := Environment{Name: name, Dir: dir, made: true}
	python, err := filepath.EvalSymlinks(filepath.Join(installed.DefaultPrefix(), "bin", "python3"))
	err = errors.Join(err, os.Chmod(dir, 0o755))
	for _, made := range []string{Handmade, Neighbour} {
		spec := environmenttest.Spec{
			Name: made, Modules: map[string]string{made + "_module": "name = '" + made + "'\n"},
			Preload: []string{made + "_module"},
		}
		if made == name { // its zygote is there before the first job, so that the number of processes stays
			spec.Start = installed.StartAlways
		}
		if err == nil {
			_, err = environmenttest.Make(dir, python, spec)
		}
	}
	if err != nil {
		return Environment{}, errors.Join(err, e.Close())
	}
	return e, nil
}

// Settings are those of workers that have the environment.
func (e Environment) Settings() Env { return Env{"ENVIRONMENTS_DIR": e.Dir} }

// AddTo adds the environment to the fields of a request that names none.
func (e Environment) AddTo(fields map[string]any) {
	if _, named := fields["environment"]; e.Name != "" && !named {
		fields["environment"] = e.Name
	}
}

// Close removes what was made.
func (e Environment) Close() error {
	if !e.made {
		return nil
	}
	return os.RemoveAll(e.Dir)
}
