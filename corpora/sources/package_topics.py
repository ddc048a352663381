"""Topics of a module, derived from the words of its name."""

# Topic -> words that packages use for it in names of modules. A word belongs to one topic at most; words that two
# topics share (model, feature, index) belong to none.
WORDS_OF_TOPIC = {
    "neural-network": "layer layers nn loss losses activation activations rnn lstm gru convolutional conv recurrent "
    "attention embedding embeddings initializers regularizers pooling normalization dropout modeling modular",
    "statistics": "stats mstats statistics distribution distributions distns random multivariate covariance qmc bayes "
    "mixture morestats histograms",
    "linear-algebra": "linalg eigen blas lapack matrix decomp matmul einsum linear-operator",
    "sparse": "sparse ragged csr csc coo",
    "optimization": "optimize optimizer optimizers cobyqa pyprima lbfgsb trustregion minimize linesearch adam sgd",
    "training": "training trainer trainers callback callbacks estimator fit learning",
    "evaluation": "metric metrics scorer scoring evaluation evaluate",
    "images": "image images ndimage vision video images-utils imagefont imaging pillow detr",
    "text": "text string strings tokenization tokenizer tokenizers defchararray encodings codecs textwrap difflib "
    "unicode charset sentencepiece vocabulary",
    "signal": "signal audio fft fftpack speech asr filter-design ltisys wavelets",
    "datasets": "dataset datasets dataloader loader loaders data-adapters iterators",
    "files": "io saving saver saved serialization json csv tsv parquet reader readers writer writers parser parsers "
    "excel file files filesystem filesystems pickle export exporter exporters gguf onnx checkpoint checkpoints zipfile "
    "tarfile shutil pathlib fileio stata pytables hdf savedmodel download downloads",
    "plotting": "axes figure plotting plot ticker patches colors pyplot artist axis lines axes3d legend colorbar "
    "projections mplot3d contour quiver tri",
    "interface": "tkinter ttk tix widgets turtle curses qt console termui cmd argparse optparse flags prompt",
    "network": "http https httplib request requests response urllib urllib3 email ftplib imaplib smtplib nntplib "
    "server routing xmlrpc session socket socketserver wsgi cookies cookiejar websockets ssl ipaddress sansio",
    "parallel": "distribute distributed dtensor parallel asyncio threading multiprocessing concurrent futures "
    "coordinator cluster-resolver loky subprocess queues tpu strategy",
    "packaging": "distutils pip setuptools importlib wheel ccompiler installer pkgutil zipimport venv req resolution "
    "index-command packaging",
    "time": "datetimes datetime dates date period periods offsets calendar timedeltas timestamps datetimelike time "
    "timezones holiday frequencies",
    "dataframe": "dataframe series groupby indexes reshape merge resample indexing pivot categorical interval rolling "
    "accessor expr",
    "debugging": "debug debugger logging profiler traceback pdb inspect doctest unittest pstats warnings trace tracer",
    "mathematics": "math special polynomial chebyshev legendre hermite laguerre hermite-e integrate interpolate "
    "pydecimal decimal fractions cmath orthogonal quadrature ode fromnumeric umath",
    "compilation": "compiler autograph xla mlir ast tf2xla pyct graph lexer jit bytecode dis",
    "generation": "generation generate logits batching serving decoding",
    "configuration": "configuration config configs settings hparams configparser",
    "preprocessing": "preprocessing processing processor imputation feature-extraction scaler encoders",
    "machine-learning": "ensemble cluster neighbors svm decomposition tree gaussian manifold boosting classifier "
    "regression hierarchy kmeans linear-model model-selection feature-selection",
    "geometry": "spatial geometry transforms transform distance rotation rigid bezier pens hull",
    "quantization": "quantization quantizers quantize quantizer bitsandbytes gptq",
    "markup": "xml html etree elementtree sax dom markdown minidom htmlparser",
    "arrays": "arrays array ma arraysetops arraypad shape tensor tensors",
    "types": "dtypes dtype json-schema validators validation types typing annotated",
    "keras": "keras",
    "cache": "cache caching cached memory",
}
TOPIC_OF_WORD = {word: topic for topic, words in WORDS_OF_TOPIC.items() for word in words.split()}


def topics(module: str) -> tuple[str, ...]:
    """Topics of a module from the words of its name below the package, in the order of the words.

    >>> topics("scipy.sparse.linalg._eigen.arpack"), topics("tensorflow.python.ops.gen_image_ops")
    (('sparse', 'linear-algebra'), ('images',))
    """
    names = (name.strip("_").lower().replace("_", "-") for name in module.split(".")[1:])
    words = (word for name in names for word in (name, *name.split("-")))
    return tuple(dict.fromkeys(TOPIC_OF_WORD[word] for word in words if word in TOPIC_OF_WORD))
