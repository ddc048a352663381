"""Technical sentences in several languages, and posts made of them."""
# ruff: noqa: RUF001, letters of other scripts look like Latin ones

import random

from corpora.post import Post

SENTENCES = {
    "ru": (
        "Как подключиться к MySQL из node.js и ещё прочитать таблицу с кириллицей?",
        "Функция возвращает std::vector<std::string>, но моё приложение на C++ падает с ошибкой.",
        "Мой файл Москва.py не открывается: кодировка utf-8, а в консоли вместо букв знаки вопроса.",
        "Почему цикл такой медленный, если пользователей всего двадцать тысяч? Объём памяти большой.",
        "Настройки node.js-приложения лежат в config.json, удалённый сервер их не видит.",
        "Съешь же ещё этих мягких французских булок, да выпей чаю: проверка шрифта в asp.net.",
    ),
    "ja": (
        "node.jsでデータベースに接続するとエラーになります。原因は何でしょうか。",
        "C++のstd::vectorを使って、ユーザーの一覧をソートしたいです。",
        "ファイル名がデータ.pyのとき、文字コードutf-8で読み込むと文字化けします。",
        "配列の要素を一つずつ表示するプログラムを書いていますが、動作がとても遅いです。",
        "PHPからMySQLへ日本語のテキストを登録できません。設定ファイルも確認しました。",
        "asp.netのページで、ボタンをクリックしても、メソッドが呼び出されないのはなぜですか。",
    ),
    "pt": (
        "Como faço a conexão com o MySQL usando node.js? A aplicação não lê a configuração.",
        "Função em C++ que retorna std::vector<int>: não há memória, e a exceção é lançada.",
        "Meu arquivo São_Paulo.py não abre; a codificação é utf-8, já verifiquei três vezes.",
        "Por que o laço é tão lento, se são só vinte mil usuários? Preciso da solução até amanhã.",
        "Avó e avô são palavras diferentes, e o índice do banco as compara como iguais.",
        "Página em asp.net com botão e ícone: após o clique, nada acontece.",
    ),
    "ar": (
        "كيف أتصل بقاعدة البيانات MySQL من node.js وأقرأ الجدول؟",
        "الدالة في C++ تُرجع std::vector<int> لكن البرنامج يتوقف عن العمل.",
        "لا يُفتح الملف بيانات.py لأن الترميز ليس utf-8، فما الحل؟",
        "لماذا الحلقة بطيئة جدًا إذا كان عدد المستخدمين قليلًا؟ أريد أسرع طريقة في asp.net.",
    ),
    "hi": (
        "node.js से MySQL डेटाबेस को कैसे जोड़ें और तालिका कैसे पढ़ें?",
        "C++ में यह फ़ंक्शन std::vector<int> लौटाता है, लेकिन प्रोग्राम रुक जाता है।",
        "फ़ाइल हिन्दी.py नहीं खुलती, क्योंकि एन्कोडिंग utf-8 नहीं है।",
        "लूप इतना धीमा क्यों है जबकि उपयोगकर्ता केवल कुछ हज़ार हैं? asp.net में कोई उपाय बताइए।",
    ),
    "ko": (
        "node.js에서 MySQL에 연결하면 오류가 발생합니다. 어떻게 해결하나요?",
        "C++의 std::vector를 사용해서 사용자 목록을 정렬하고 싶습니다.",
        "파일 이름이 한글.py일 때 utf-8로 읽으면 글자가 깨집니다.",
        "asp.net에서 반복문이 왜 이렇게 느린가요?",
    ),
}
"""Language -> sentences, each with terms that stay whole: node.js, std::vector, C++, asp.net."""
TAGS = ("c++", "std::vector", "node.js", "asp.net", "mysql", "utf-8")


def language_posts(language: str, number: int = 120) -> list[Post]:
    """Questions of two random sentences of a language each."""
    draw = random.Random(language)
    texts = [" ".join(draw.choices(SENTENCES[language], k=2)) for _ in range(number)]
    return [Post(str(n), "question", "", text, TAGS) for n, text in enumerate(texts)]
