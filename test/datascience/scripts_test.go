package datascience

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/test/stack"
)

// scripts are the bodies of functions that need a package each, with what they return. Those with pandas' optional
// packages are from reports of users of such services.
var scripts = map[string]struct{ body, want string }{
	"scipy, for pandas": {
		`import pandas as pd
		return pd.Series([1.0, None, 3.0, 5.0, 4.0]).interpolate(method="cubic").round(3).tolist()`,
		`[1.0,0.75,3.0,5.0,4.0]`,
	},
	"scipy": {
		`from scipy.optimize import brentq
		return round(brentq(lambda x: x * x - 2, 0, 2), 6)`, `1.414214`,
	},
	"lxml, for pandas": {
		`import io, pandas as pd
		return pd.read_html(io.StringIO("<table><tr><th>a</th></tr><tr><td>1</td></tr></table>"))[0].a.tolist()`, `[1]`,
	},
	"pyarrow, for pandas": {
		`import pandas as pd
		pd.DataFrame({"a": [1]}).to_parquet("x.parquet")
		return pd.read_parquet("x.parquet").a.tolist()`, `[1]`,
	},
	"openpyxl, for pandas": {
		`import pandas as pd
		pd.DataFrame({"a": [1]}).to_excel("x.xlsx", index=False)
		return pd.read_excel("x.xlsx").a.tolist()`, `[1]`,
	},
	"tabulate, for pandas": {
		`import pandas as pd
		return pd.DataFrame({"a": [1]}).to_markdown(index=False)`, `"|   a |\n|----:|\n|   1 |"`,
	},
	"scikit-learn": {
		`from sklearn.datasets import make_classification
		from sklearn.ensemble import RandomForestClassifier
		x, y = make_classification(200, random_state=0)
		return RandomForestClassifier(n_estimators=10, n_jobs=2, random_state=0).fit(x, y).score(x, y) > 0.9`, `true`,
	},
	"statsmodels": {
		`import statsmodels.api as sm
		return round(sm.OLS([1, 2, 3, 4.0], sm.add_constant([1, 2, 3, 4])).fit().params[1], 6)`, `1.0`,
	},
	"seaborn": {
		`import seaborn as sns
		return sns.heatmap([[1, 2], [3, 4]]).get_figure() is not None`, `true`,
	},
	"sympy": {
		`import sympy
		x = sympy.Symbol("x")
		return str(sympy.integrate(sympy.cos(x), x))`, `"sin(x)"`,
	},
	"networkx": {
		`import networkx
		return networkx.shortest_path(networkx.path_graph(4), 0, 3)`, `[0,1,2,3]`,
	},
	"beautifulsoup4": {
		`from bs4 import BeautifulSoup
		return BeautifulSoup("<p>a<b>c", "lxml").b.text`, `"c"`,
	},
	"pyyaml": {`import yaml
		return yaml.safe_load("a: [1, 2]")`, `{"a":[1,2]}`},
	"pillow": {`from PIL import Image
		return list(Image.new("RGB", (2, 3)).size)`, `[2,3]`},
	"tqdm": {`from tqdm import tqdm
		return sum(tqdm(range(4)))`, `6`},
}

func TestScripts(t *testing.T) {
	t.Parallel()
	for what, script := range scripts {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			body, err := json.Marshal(map[string]string{
				"environment": name,
				"script":      "def main():\n    " + strings.ReplaceAll(script.body, "\n\t\t", "\n    "),
			})
			if err != nil {
				t.Fatal(err)
			}
			var job struct {
				Result jsontext.Value `json:"result"`
				Error  string         `json:"error"`
			}
			status := stack.DoJSON(t.Context(), http.DefaultClient, http.MethodPost, service.URL+"/execute", body, "",
				&job)
			if status != http.StatusOK || string(job.Result) != script.want {
				t.Errorf("%d %s %s, want %s", status, job.Result, job.Error, script.want)
			}
		})
	}
}
